/**
 * A peer sent what is not HTTP/1.1, or what two readers could understand differently. Nothing more is read from
 * its connection.
 */
export class MessageError extends Error {
  override readonly name = 'MessageError';
  constructor(
    message: string,
    readonly code: 'BAD_MESSAGE' | 'HEAD_OVERFLOW' = 'BAD_MESSAGE',
  ) {
    super(message);
  }
}
