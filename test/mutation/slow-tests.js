/** Names of tests that take a second or more: they would cost more than all others, for each mutant. */
exports.SLOW =
  /over 2,000 windows|after 60 days|200 commands of ordinary size|over sixty entries|do not move when another|of 100,000 fields|that is open, whatever/;
