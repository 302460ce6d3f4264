import { bucketOf, GAMMA } from '../../core/statistics/histogram';

/** A string literal of SQL. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** A quoted identifier of SQL. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Added to a value so that 0 has a logarithm too; it changes no value above 1e-280. */
const TINY = 1e-300;

/** The log bucket of a value of at least 0, as `bucketOf` of the gates gives it. Without CASE, which is slow. */
export function bucketSql(value: string): string {
  return `CAST(ceil(ln(${value} + ${TINY}) / ${Math.log(GAMMA)}) AS INTEGER)`;
}

/** Whether a bucket is that of the value 0. */
export function isZeroBucket(bucket: number): boolean {
  return bucket < bucketOf(1e-280);
}
