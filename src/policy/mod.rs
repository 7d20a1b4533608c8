//! Which new version may be taken, when, and why the others are held back.
