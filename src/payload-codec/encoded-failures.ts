import { DefaultFailureConverter } from '@temporalio/common';

/** Loaded by its path where a codec is used: what a failure says, and where in the code, goes through the codec too. */
export const failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
