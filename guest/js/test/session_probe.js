// A handler that does with the state of its session what its message says, with all that `session` has.

import { handler, Reject, session } from '../dist/index.js';
import { string } from '../dist/schema.js';

export default handler(string(), (wish) => {
  switch (wish) {
    case 'count':
      session.setState({ count: session.stateJson({ count: 0 }).count + 1 });
      break;
    case 'bytes':
      session.setState(new Uint8Array([0xff, 0]));
      break;
    case 'expect-bytes':
      if (String(session.state()) !== '255,0') throw new Reject('the state of the session is another');
      break;
    case 'forget':
      session.clearState();
      break;
    case 'ask':
      try {
        session.state();
      } catch (error) {
        if (error instanceof session.NoSession) throw new Reject(`no session: ${error.message}`);
        throw error;
      }
  }
});
