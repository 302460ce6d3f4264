#!/usr/bin/env node

// The first line of work is to look at Node itself: everything below it is newer than ES5.
require('./node-version.js');
require('./built-program.js');
