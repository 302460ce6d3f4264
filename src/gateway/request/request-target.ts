/** What a path may consist of (RFC 3986, 3.3) but `;`: some servers cut `/..;/` down to a dot segment. */
const CHARACTERS = /^[A-Za-z0-9/_\-.~!$&'()*+,=:@%]*$/;
const DOT_SEGMENT = /\/\.{1,2}(\/|$)/;
const BAD_ESCAPE = /%(?![0-9A-Fa-f]{2})/;
/** Escapes of what needs none, or would mean something to whoever decodes twice: `.`, `%`, `\`, `?`, `#`, `;`. */
const MASKED = /%(2e|25|5c|3f|23|3b)/i;
const SLASH = /%2f/i;
/** The segments behind these hold the name of a model, such as `meta-llama%2FLlama-3`. */
const MODEL_SEGMENT = /(\/(?:models|engines|deployments)\/)([^/]*)/g;
const UNSEEN = /[\p{C}\p{Zl}\p{Zp}]/u;
const QUERY = /^[\x21-\x7e]*$/;

/** What is wrong with a request's path, that another server could read as another path; null when nothing is. */
export function pathProblem(path: string): string | null {
  if (!CHARACTERS.test(path)) return 'a character that no path of the API has';
  if (path.includes('//')) return 'an empty segment';
  if (path.includes('/.') && DOT_SEGMENT.test(path)) return 'a dot segment';
  return path.includes('%') ? escapeProblem(path) : null;
}

function escapeProblem(path: string): string | null {
  if (BAD_ESCAPE.test(path)) return 'a % without two hex digits';
  if (MASKED.test(path)) return 'an escape of . % \\ ? # or ;';
  const text = decoded(path);
  if (text === null) return 'an escape that is not UTF-8';
  if (UNSEEN.test(text)) return 'an escaped control character';
  if (!SLASH.test(path)) return null;
  if (SLASH.test(path.replace(MODEL_SEGMENT, '$1'))) return "an escaped slash outside of a model's name";
  return DOT_SEGMENT.test(text) || text.includes('//') ? 'an escaped dot segment or an empty one' : null;
}

/** What is wrong with a query; null when nothing is. */
export function queryProblem(query: string): string | null {
  return QUERY.test(query) && !query.includes('#') ? null : 'a character that no query has';
}

/** Refuses overlong forms, surrogates and cut sequences, as RFC 3629 asks for. */
function decoded(path: string): string | null {
  try {
    return decodeURIComponent(path);
  } catch {
    return null;
  }
}
