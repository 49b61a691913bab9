//! What a statement can be given, and how records' types look in a row.

use serde_json::Value as JsonValue;
use sqlx::{Database, Decode, Encode, Type, encode::IsNull, error::BoxDynError};
use uuid::Uuid;

use crate::{clock::Timestamp, ids::Id};

/// One argument of a statement.
#[derive(Debug, Clone)]
pub enum Value {
    /// Text, or nothing.
    Text(Option<String>),
    /// A number or a time, or nothing.
    Integer(Option<i64>),
    /// An id, or nothing.
    Uuid(Option<Uuid>),
    /// Yes or no.
    Bool(bool),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A document.
    Json(JsonValue),
}

/// The arguments of a statement, from anything that is a [`Value`].
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::db::Value::from($value)),*] };
}
pub(crate) use args;

macro_rules! values {
    ($($from:ty => $variant:ident($name:ident) $value:expr;)*) => {
        $(impl From<$from> for Value {
            fn from($name: $from) -> Self {
                Self::$variant($value)
            }
        })*
    };
}

values! {
    String => Text(v) Some(v);
    &String => Text(v) Some(v.clone());
    &str => Text(v) Some(v.to_owned());
    Option<String> => Text(v) v;
    Option<&str> => Text(v) v.map(str::to_owned);
    i64 => Integer(v) Some(v);
    Option<i64> => Integer(v) v;
    Timestamp => Integer(v) Some(v.0);
    Option<Timestamp> => Integer(v) v.map(|v| v.0);
    Uuid => Uuid(v) Some(v);
    Option<Uuid> => Uuid(v) v;
    bool => Bool(v) v;
    Vec<u8> => Bytes(v) v;
    JsonValue => Json(v) v;
}

impl<K> From<Id<K>> for Value {
    fn from(id: Id<K>) -> Self {
        Self::Uuid(Some(id.uuid()))
    }
}

impl<K> From<Option<Id<K>>> for Value {
    fn from(id: Option<Id<K>>) -> Self {
        Self::Uuid(id.map(Id::uuid))
    }
}

/// The arguments as one engine takes them.
pub(super) fn arguments<A>(values: Vec<Value>) -> Result<A, sqlx::Error>
where
    A: sqlx::Arguments + Default,
    for<'t> String: Encode<'t, A::Database> + Type<A::Database>,
    for<'t> Option<String>: Encode<'t, A::Database> + Type<A::Database>,
    for<'t> Option<i64>: Encode<'t, A::Database> + Type<A::Database>,
    for<'t> Option<Uuid>: Encode<'t, A::Database> + Type<A::Database>,
    for<'t> bool: Encode<'t, A::Database> + Type<A::Database>,
    for<'t> Vec<u8>: Encode<'t, A::Database> + Type<A::Database>,
    for<'t> sqlx::types::Json<JsonValue>: Encode<'t, A::Database> + Type<A::Database>,
{
    let mut arguments = A::default();
    for value in values {
        match value {
            Value::Text(v) => arguments.add(v),
            Value::Integer(v) => arguments.add(v),
            Value::Uuid(v) => arguments.add(v),
            Value::Bool(v) => arguments.add(v),
            Value::Bytes(v) => arguments.add(v),
            Value::Json(v) => arguments.add(sqlx::types::Json(v)),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

impl<K, DB: Database> Type<DB> for Id<K>
where
    Uuid: Type<DB>,
{
    fn type_info() -> DB::TypeInfo {
        <Uuid as Type<DB>>::type_info()
    }

    fn compatible(ty: &DB::TypeInfo) -> bool {
        <Uuid as Type<DB>>::compatible(ty)
    }
}

impl<'r, K, DB: Database> Decode<'r, DB> for Id<K>
where
    Uuid: Decode<'r, DB>,
{
    fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxDynError> {
        Uuid::decode(value).map(Self::from_uuid)
    }
}

impl<'q, K, DB: Database> Encode<'q, DB> for Id<K>
where
    Uuid: Encode<'q, DB>,
{
    fn encode_by_ref(&self, buffer: &mut DB::ArgumentBuffer) -> Result<IsNull, BoxDynError> {
        self.uuid().encode_by_ref(buffer)
    }
}

impl<DB: Database> Type<DB> for Timestamp
where
    i64: Type<DB>,
{
    fn type_info() -> DB::TypeInfo {
        <i64 as Type<DB>>::type_info()
    }

    fn compatible(ty: &DB::TypeInfo) -> bool {
        <i64 as Type<DB>>::compatible(ty)
    }
}

impl<'r, DB: Database> Decode<'r, DB> for Timestamp
where
    i64: Decode<'r, DB>,
{
    fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxDynError> {
        i64::decode(value).map(Self)
    }
}
