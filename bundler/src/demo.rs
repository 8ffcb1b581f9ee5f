//! demo
mod canvas;
mod picture;
mod report;
mod trace;
