/** A loader of webpack that changes one place of a source; fails where the place is not there exactly once. */
module.exports = function plant(source) {
  const { from, to } = this.getOptions();
  const parts = source.split(from);
  if (parts.length !== 2) throw new Error(`expected "${from}" once, found it ${parts.length - 1} times`);
  return parts.join(to);
};
