// Faults on demand, at each step of the protocol. They are ordered with `PUT /-/faults`, in one of two forms:
//
//   [{"at": "update-disposition", "do": "cut-after", "times": 1}, …]      these, and no others
//   {"seed": 7, "probability": 0.05, "limit": 20}                         by chance, and the same again for one seed
//
// `at` is one of POINTS, `do` one of KINDS. Only when they are asked for by name: `put-token` may be answered `unknown` (404, without
// a condition), the HTTP interface's `count` `denied` (401), what is delivered may be `garbled`, and a link
// refused since a `quota` is reached.
'use strict';

const POINTS = ['open', 'put-token', 'attach', 'deliver', 'settle', 'send', 'renew-lock', 'update-disposition', 'peek-message', 'renew-session-lock', 'get-session-state', 'set-session-state'];

const KINDS = [
  'cut-before', // the connection ends, and nothing was done
  'cut-after', // it is done, and the connection ends without an answer
  'silent', // it is done, and no answer ever comes
  'busy', // nothing is done, and the answer says so
  'detach', // the link ends with an error, as when the service moves a queue
];

class Faults {
  constructor() {
    this.order([]);
  }

  order(faults) {
    this.listed = Array.isArray(faults) ? faults.map((fault) => ({ times: 1, ...fault })) : [];
    this.chance = Array.isArray(faults) ? undefined : { kinds: KINDS, points: POINTS, limit: Infinity, ...faults };
    this.random = generator(this.chance ? this.chance.seed : 0);
    this.done = {};
  }

  /** What goes wrong at this step, if anything. */
  at(point) {
    const kind = this.decide(point);
    if (kind) this.done[`${point} ${kind}`] = (this.done[`${point} ${kind}`] || 0) + 1;
    return kind;
  }

  decide(point) {
    const fault = this.listed.find((it) => it.at === point && it.times > 0);
    if (fault) {
      fault.times -= 1;
      return fault.do;
    }
    const { chance } = this;
    if (!chance || chance.limit <= 0 || !chance.points.includes(point) || this.random() >= chance.probability) return undefined;
    chance.limit -= 1;
    return chance.kinds[Math.floor(this.random() * chance.kinds.length)];
  }
}

// Mulberry32: small, and the same everywhere.
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
  };
}

module.exports = { Faults, POINTS, KINDS };
