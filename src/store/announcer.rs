use parking_lot::Mutex;
use tokio::sync::watch;

/// A value that changes, and whoever waits for it to. All are told in the order in which they asked to be, where a channel with many
/// receivers wakes them in one that it draws: what a program with one thread does must follow from what is done to it.
pub struct Announcer<T>(Mutex<State<T>>);

struct State<T> {
    value: T,
    /// One for each that listens, or did.
    listeners: Vec<watch::Sender<T>>,
}

impl<T: Clone> Announcer<T> {
    /// Begins with `value`.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self(Mutex::new(State { value, listeners: Vec::new() }))
    }

    /// The value as it is.
    #[must_use]
    pub fn value(&self) -> T {
        self.0.lock().value.clone()
    }

    /// Is told of every change from now on, or of the last one of several. Ends with the announcer.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<T> {
        let mut state = self.0.lock();
        state.listeners.retain(|listener| !listener.is_closed());
        let (listener, receiver) = watch::channel(state.value.clone());
        state.listeners.push(listener);
        receiver
    }

    /// Changes the value. Listeners are told where `change` says so.
    pub fn change(&self, change: impl FnOnce(&mut T) -> bool) {
        let mut state = self.0.lock();
        if change(&mut state.value) {
            let state = &mut *state;
            state.listeners.iter().for_each(|listener| drop(listener.send_replace(state.value.clone())));
        }
    }
}
