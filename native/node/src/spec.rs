//! Definitions (`IndexSpec`, `ColumnSpec`, `SequenceSpec`) from their JavaScript objects. DDL is rare: clarity first.

use crate::columns::storage_kind;
use crate::error::{Result, misuse};
use crate::session::int8;
use napi::bindgen_prelude::BigInt;
use napi_derive::napi;
use omen_store as store;
use omen_store::{
    Form, GraphSpec, IndexMethod, KeyKind, Metric, Quantisation, StorageKind, TextConfig,
};

#[napi(object)]
pub struct ColumnSpec {
    pub kind: String,
    pub dim: u32,
    pub is_counted: Option<bool>,
}

#[napi(object)]
pub struct IndexColumnSpec {
    pub column: u32,
    pub key_kind: String,
    pub descending: bool,
    pub nulls_first: bool,
}

#[napi(object)]
pub struct IndexSpec {
    pub index_id: u32,
    pub relation_id: u32,
    pub method: String,
    pub columns: Vec<IndexColumnSpec>,
    pub unique: bool,
    pub nulls_not_distinct: bool,
    pub m: Option<u32>,
    pub ef_construction: Option<u32>,
    pub metric: Option<String>,
    pub form: Option<String>,
    pub dimensions: Option<u32>,
    pub quantization: Option<String>,
    pub rerank: Option<u32>,
    pub text_config: Option<String>,
    pub k1: Option<f64>,
    pub b: Option<f64>,
}

#[napi(object)]
pub struct SequenceSpec {
    pub sequence_id: u32,
    pub start: BigInt,
    pub increment: BigInt,
    pub min: BigInt,
    pub max: BigInt,
    pub cycle: bool,
    pub temporary: bool,
}

#[napi(object)]
pub struct SequenceState {
    pub last_value: BigInt,
    pub is_called: bool,
}

/// What pgvector builds with unless told otherwise.
const DEFAULT_M: u32 = 16;
const DEFAULT_EF_CONSTRUCTION: u32 = 64;
/// Lucene's and Elasticsearch's BM25.
const DEFAULT_K1: f64 = 1.2;
const DEFAULT_B: f64 = 0.75;

pub fn metric(word: &str) -> Result<Metric> {
    Ok(match word {
        "l2" => Metric::L2,
        "ip" => Metric::InnerProduct,
        "cosine" => Metric::Cosine,
        "l1" => Metric::L1,
        "hamming" => Metric::Hamming,
        "jaccard" => Metric::Jaccard,
        other => return Err(misuse(format!("metric {other}"))),
    })
}

pub fn form(word: &str) -> Result<Form> {
    Ok(match word {
        "f32" => Form::F32,
        "f16" => Form::F16,
        "bits" => Form::Bits,
        "sparse" => Form::Sparse,
        other => return Err(misuse(format!("vector form {other}"))),
    })
}

fn quantisation(word: &str) -> Result<Quantisation> {
    Ok(match word {
        "none" => Quantisation::None,
        "f16" => Quantisation::F16,
        "sq8" => Quantisation::Sq8,
        "rabitq" => Quantisation::Rabitq,
        "bq" => Quantisation::Bq,
        "pq" => Quantisation::Pq,
        other => return Err(misuse(format!("quantization {other}"))),
    })
}

pub fn column(spec: &ColumnSpec) -> Result<store::ColumnSpec> {
    let kind = match storage_kind(Some(&spec.kind))? {
        StorageKind::Vector if spec.is_counted == Some(true) => StorageKind::Counted,
        kind => kind,
    };
    Ok(store::ColumnSpec { kind, dim: spec.dim })
}

fn position(column: u32) -> Result<u16> {
    u16::try_from(column).map_err(|_| misuse(format!("column position {column}")))
}

fn key_kind(word: &str) -> Result<KeyKind> {
    Ok(match word {
        "bool" => KeyKind::Bool,
        "int" => KeyKind::Int,
        "float" => KeyKind::Float,
        "bytes" => KeyKind::Bytes,
        "numeric" => KeyKind::Numeric,
        "interval" => KeyKind::Interval,
        "guard" => KeyKind::Guard,
        "bits" => KeyKind::Bits,
        "vector" => KeyKind::Vector,
        "halfvec" => KeyKind::Halfvec,
        "sparsevec" => KeyKind::Sparsevec,
        other => return Err(misuse(format!("key kind {other}"))),
    })
}

fn index_column(spec: &IndexColumnSpec) -> Result<store::IndexColumnSpec> {
    Ok(store::IndexColumnSpec {
        column: position(spec.column)?,
        key_kind: key_kind(&spec.key_kind)?,
        descending: spec.descending,
        nulls_first: spec.nulls_first,
    })
}

fn method(spec: &IndexSpec) -> Result<IndexMethod> {
    let small = |number: Option<u32>, default: u32| {
        u16::try_from(number.unwrap_or(default)).map_err(|_| misuse("index option over 65535"))
    };
    Ok(match spec.method.as_str() {
        "btree" => {
            IndexMethod::Btree { unique: spec.unique, nulls_not_distinct: spec.nulls_not_distinct }
        }
        "hnsw" => IndexMethod::Hnsw(GraphSpec {
            m: small(spec.m, DEFAULT_M)?,
            ef_construction: small(spec.ef_construction, DEFAULT_EF_CONSTRUCTION)?,
            metric: metric(spec.metric.as_deref().unwrap_or("l2"))?,
            form: form(spec.form.as_deref().unwrap_or("f32"))?,
            dim: spec.dimensions.ok_or_else(|| misuse("an hnsw index without dimensions"))?,
            quantisation: quantisation(spec.quantization.as_deref().unwrap_or("none"))?,
            rerank: small(spec.rerank, 0)?,
        }),
        "bm25" => IndexMethod::Bm25 {
            config: match spec.text_config.as_deref() {
                None | Some("english") => TextConfig::English,
                Some("simple") => TextConfig::Simple,
                Some(other) => return Err(misuse(format!("text configuration {other}"))),
            },
            k1: spec.k1.unwrap_or(DEFAULT_K1) as f32,
            b: spec.b.unwrap_or(DEFAULT_B) as f32,
        },
        other => return Err(misuse(format!("index method {other}"))),
    })
}

pub fn index(spec: &IndexSpec) -> Result<store::IndexSpec> {
    Ok(store::IndexSpec {
        index_id: spec.index_id,
        relation_id: spec.relation_id,
        method: method(spec)?,
        columns: spec.columns.iter().map(index_column).collect::<Result<_>>()?,
    })
}

pub fn sequence(spec: &SequenceSpec) -> Result<store::SequenceSpec> {
    Ok(store::SequenceSpec {
        sequence_id: spec.sequence_id,
        start: int8(&spec.start, "start")?,
        increment: int8(&spec.increment, "increment")?,
        min: int8(&spec.min, "min")?,
        max: int8(&spec.max, "max")?,
        cycle: spec.cycle,
        temporary: spec.temporary,
    })
}
