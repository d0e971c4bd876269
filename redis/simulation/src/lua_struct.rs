//! `struct.pack` and `struct.unpack`, which Redis gives to scripts, for the formats that the
//! shipped scripts use: `>`, `I` with a size in bytes, and `c` with a length.

use mlua::{Error, FromLua, Lua, Result, Value, Variadic};

/// One element of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    /// An unsigned number of so many bytes, with the highest byte first.
    Number(usize),
    /// So many bytes.
    Bytes(usize),
}

/// Adds the table `struct`.
///
/// # Errors
///
/// If Lua has no memory.
pub fn register(lua: &Lua) -> Result<()> {
    let table = lua.create_table()?;
    table.set("pack", lua.create_function(pack)?)?;
    table.set("unpack", lua.create_function(unpack)?)?;
    lua.globals().set("struct", table)
}

/// Reads a format.
fn items(format: &[u8]) -> Result<Vec<Item>> {
    let wrong = || {
        let format = String::from_utf8_lossy(format);
        Error::runtime(format!("the simulator has no format {format:?}"))
    };
    // Without it, numbers would have the lowest byte first.
    let mut rest = format.strip_prefix(b">").ok_or_else(wrong)?;
    let mut items = Vec::new();
    while let Some((&kind, after)) = rest.split_first() {
        let digits = after.iter().take_while(|byte| byte.is_ascii_digit());
        let (size, after) = after.split_at(digits.count());
        let size = str::from_utf8(size).ok().and_then(|size| size.parse().ok());
        items.push(match (kind, size) {
            (b'I', Some(size @ 1..=8)) => Item::Number(size),
            (b'c', Some(size @ 1..)) => Item::Bytes(size),
            _ => return Err(wrong()),
        });
        rest = after;
    }
    Ok(items)
}

fn pack(lua: &Lua, (format, values): (mlua::String, Variadic<Value>)) -> Result<mlua::String> {
    let items = items(&format.as_bytes())?;
    let mut packed = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let value = values.get(index).cloned().unwrap_or(Value::Nil);
        match item {
            Item::Number(size) => {
                let bytes = whole(f64::from_lua(value, lua)?).to_be_bytes();
                packed.extend_from_slice(&bytes[bytes.len() - size..]);
            }
            Item::Bytes(size) => {
                let text = mlua::String::from_lua(value, lua)?;
                let bytes = text.as_bytes();
                let bytes = bytes.get(..size);
                packed.extend_from_slice(bytes.ok_or_else(|| Error::runtime("string too short"))?);
            }
        }
    }
    lua.create_string(&packed)
}

/// Converts as the server's C code does: a negative number wraps.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the scripts' numbers are whole and below 2^53"
)]
fn whole(number: f64) -> u64 {
    if number < 0.0 {
        number as i64 as u64
    } else {
        number as u64
    }
}

/// Returns the values, and the position after them, counted from 1.
#[expect(
    clippy::cast_precision_loss,
    reason = "a script's number is a double, here and in Redis"
)]
fn unpack(
    lua: &Lua,
    (format, data, position): (mlua::String, mlua::String, Option<usize>),
) -> Result<Variadic<Value>> {
    let (items, data) = (items(&format.as_bytes())?, data.as_bytes());
    let mut at = position.unwrap_or(1).saturating_sub(1);
    let mut values = Variadic::new();
    for item in items {
        let (Item::Number(size) | Item::Bytes(size)) = item;
        let bytes = data.get(at..at + size);
        let bytes = bytes.ok_or_else(|| Error::runtime("data string too short"))?;
        values.push(match item {
            Item::Number(_) => {
                let add = |number, &byte| number << 8 | u64::from(byte);
                Value::Number(bytes.iter().fold(0_u64, add) as f64)
            }
            Item::Bytes(_) => Value::String(lua.create_string(bytes)?),
        });
        at += size;
    }
    values.push(Value::Number((at + 1) as f64));
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::{Item, items};

    #[test]
    fn formats_are_read() {
        let all = items(b">I7I5c16").expect("known");
        assert_eq!(all, [Item::Number(7), Item::Number(5), Item::Bytes(16)]);
        for unknown in ["I7", ">", ">i4", ">I", ">I9", ">c0", ">I7 I7", "<I2"] {
            let known = items(unknown.as_bytes());
            assert!(unknown == ">" || known.is_err(), "{unknown}");
        }
    }
}
