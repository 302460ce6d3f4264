/** Number formats of training, from the fastest to the safest; `training/` holds what each of them does. */
export const RECIPES = ['fp8-delayed', 'fp8-current', 'fp8-block', 'bf16'] as const;

export type RecipeName = (typeof RECIPES)[number];

/** The next safer recipe; null after BF16, for which there is none. */
export function saferThan(recipe: RecipeName): RecipeName | null {
  return RECIPES[RECIPES.indexOf(recipe) + 1] ?? null;
}
