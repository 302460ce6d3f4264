/**
 * Preloaded with `node --require`. A limit on the size of files stands in for a full disk; besides refusing writes it
 * sends SIGXFSZ, as no disk does. Node ignores that signal until a library asks to hear of every one.
 */
const listen = process.on;

function listenToOthers(event: string | symbol, listener: (...args: unknown[]) => void): NodeJS.Process {
  return event === 'SIGXFSZ' ? process : Reflect.apply(listen, process, [event, listener]);
}

process.on = listenToOthers as typeof process.on;
