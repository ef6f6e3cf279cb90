//! Handlers as WebAssembly text, for what no compiler would write.

/// A handler whose `handle` runs `code` and returns the address of its result; `globals` stand
/// beside it in the module. At address 2048 the memory is zero, which is the result `ok`.
pub fn handler(globals: &str, code: &str) -> Vec<u8> {
    handler_beside("", globals, code)
}

/// The same, with what stands before it in the component.
pub fn handler_beside(before: &str, globals: &str, code: &str) -> Vec<u8> {
    let text = format!(
        r#"(component {before}
            (core module $m
                (memory (export "memory") 32)
                (global $next (mut i32) (i32.const 65536))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (global.set $next (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
                    (global.get $next)
                    (global.set $next (i32.add (global.get $next) (local.get 3))))
                {globals}
                (func (export "handle") (param i32 i32 i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)
                    {code}
                    (i32.const 2048)))
            (core instance $i (instantiate $m))
            (type $message (record (field "id" string) (field "queue" string) (field "body" (list u8))
                (field "dequeue-count" u32) (field "inserted" u64) (field "deadline" u64)
                (field "properties" (list (tuple string string)))))
            (type $retry (record (field "reason" string) (field "after-ms" (option u64))))
            (type $failure (variant (case "retry" $retry) (case "reject" string)))
            (func $handle (param "message" $message) (result (result (error $failure)))
                (canon lift (core func $i "handle") (memory $i "memory") (realloc (func $i "realloc"))))
            (instance $handler
                (export "message" (type $message)) (export "retry" (type $retry))
                (export "failure" (type $failure)) (export "handle" (func $handle)))
            (export "longshore:handler/handler@0.1.0" (instance $handler)))"#
    );
    wat::parse_str(text).expect("it is checked by the tests that use it")
}
