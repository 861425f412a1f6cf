//! The engine through its public face. One binary: the parts share helpers, and it is linked once.

mod asynchronous;
mod backfill;
mod backup;
mod beside;
mod calibration;
mod common;
mod crash;
mod damage;
mod damage_fjall;
mod isolation;
mod late;
mod loads;
mod model;
mod recovery;
mod removal;
mod rows;
mod search;
mod space;
mod sparse;
mod streams;
mod stress;
mod upkeep;
