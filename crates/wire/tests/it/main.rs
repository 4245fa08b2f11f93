//! The protocols over tables made by hand, so that every kind of shape and place is met, and what
//! they make of requests that no honest client sends.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod malformed;
#[cfg(test)]
mod parameters;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod tables;
