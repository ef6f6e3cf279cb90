import { stage, type SessionStage } from './stage.ts';

/** As the host throws it. */
const none = { payload: { tag: 'no-session', val: 'the message belongs to no session: the test gives it one with `sessionId`' } };

export function getState(): Uint8Array | undefined {
  return session().state;
}

export function setState(state: Uint8Array | undefined): void {
  session().state = state;
}

function session(): SessionStage {
  const found = stage.getStore()?.session;
  if (found === undefined) throw none;
  return found;
}
