// Who may do what: shared access signatures are verified, and so are the audience and the end of an identity's tokens
// (https://learn.microsoft.com/azure/service-bus-messaging/service-bus-sas).
'use strict';
const crypto = require('crypto');

const KEY = { name: 'everything', value: 'c2VjcmV0LW9mLXRoZS10ZXN0cw==' };
const AUDIENCE = 'https://servicebus.azure.net';

class Tokens {
  /** When a token ends, in ms; it throws what is wrong with it. */
  verify(token) {
    const bare = token.replace(/^Bearer /i, '');
    const end = bare.startsWith('SharedAccessSignature ') ? this.signature(bare) : this.identity(bare);
    if (end <= Date.now()) throw new Error('ExpiredToken: the token has expired.');
    return end;
  }

  /** Why an HTTP call is refused, if it is. */
  refuse(header) {
    try {
      this.verify(header);
    } catch (error) {
      return error.message;
    }
  }

  signature(token) {
    const fields = new Map(token.slice('SharedAccessSignature '.length).split('&').map((field) => {
      const at = field.indexOf('=');
      return [field.slice(0, at), field.slice(at + 1)];
    }));
    const hmac = crypto.createHmac('sha256', KEY.value).update(`${fields.get('sr')}\n${fields.get('se')}`);
    const right = hmac.digest('base64') === decodeURIComponent(fields.get('sig') || '');
    if (!right || fields.get('skn') !== KEY.name) throw new Error('InvalidSignature: the token has an invalid signature.');
    return Number(fields.get('se')) * 1000;
  }

  identity(token) {
    let claims;
    try {
      claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());
    } catch {
      throw new Error('MalformedToken: the token is no token.');
    }
    if (String(claims.aud).replace(/\/$/, '') !== AUDIENCE) throw new Error('InvalidAudience: the audience is invalid.');
    return claims.exp * 1000;
  }
}

module.exports = { Tokens };
