/**
 * Stands in for the browser's WebSocket in tests, which are its other end.
 */
export class FakeSocket {
  static readonly OPEN = 1;
  static all: FakeSocket[] = [];
  readyState = 0;
  sent: string[] = [];
  /** How many bytes a network that stalls has left here. */
  bufferedAmount = 0;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  constructor() {
    FakeSocket.all.push(this);
  }
  send(text: string) {
    this.sent.push(text);
  }
  close() {
    this.readyState = 3;
  }
  hello() {
    this.readyState = FakeSocket.OPEN;
    this.onmessage?.({
      data: '{"type":"hello","seat":"main","id":1,"user":"a","privileges":["view"],"clock":5000}',
    });
  }
}

/** The socket that was opened last. */
export const latest = () => {
  const socket = FakeSocket.all.at(-1);
  if (socket === undefined) throw new Error("no socket was opened");
  return socket;
};
