"""A handler that does with the state of its session what its message says, with all that `longshore_guest.session` has."""

from longshore_guest import Reject, handler, session


@handler
def probe(wish: str) -> None:
    match wish:
        case "count":
            session.set_state({"count": session.state_json({"count": 0})["count"] + 1})
        case "bytes":
            session.set_state(bytearray(b"\xff\x00"))
        case "expect-bytes" if session.state() != b"\xff\x00":
            raise Reject("the state of the session is another")
        case "forget":
            session.clear_state()
        case "ask":
            try:
                session.state()
            except session.NoSession as error:
                raise Reject(f"no session: {error.reason}") from None
