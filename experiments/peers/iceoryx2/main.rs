// SPDX-License-Identifier: Apache-2.0

//! iceoryx2: request-response with slices of bytes, through the timing loop of ../c/peer.c. A way is
//! busy, busy loops on both sides, as its own benchmark has them, or event: each side sleeps until an
//! event of its own comes. One thread of the server answers all callers.

use std::error::Error;
use std::ffi::{c_char, c_int, c_uint, c_void, CStr, CString};
use std::sync::mpsc;

use iox::config::Config;
use iox::port::client::Client;
use iox::port::listener::{Listener, ListenerWaitError};
use iox::port::notifier::Notifier;
use iox::port::server::Server;
use iox::prelude::*;
use iox::service::port_factory::event::PortFactory as Events;
use iox::service::port_factory::request_response::PortFactory as Calls;

type Ipc = ipc::Service;
type Failure = Box<dyn Error>;

/// Room for sides that are started again.
const SPARE: usize = 4;

/// `struct peer_options` of peer.h.
#[repr(C)]
pub struct RawOptions {
    way: *const c_char,
    at: *const c_char,
    payload_bytes: usize,
    callers: c_uint,
}

extern "C" {
    fn peer_main(count: c_int, arguments: *mut *mut c_char) -> c_int;
}

/// What both sides are told.
#[derive(Clone)]
struct Options {
    events: bool,
    at: String,
    payload: usize,
    callers: usize,
}

impl Options {
    fn new(raw: *const RawOptions) -> Result<Options, Failure> {
        // SAFETY: peer.c passes a struct that stays where it is.
        let raw = unsafe { &*raw };
        let text = |p| -> Result<String, Failure> {
            // SAFETY: both are texts of the command line.
            Ok(unsafe { CStr::from_ptr(p) }.to_str()?.to_owned())
        };
        let way = text(raw.way)?;
        if way != "busy" && way != "event" {
            return Err(format!("-way {way}: there is no such way").into());
        }
        Ok(Options {
            events: way == "event",
            at: text(raw.at)?,
            payload: raw.payload_bytes,
            callers: raw.callers as usize,
        })
    }

    /// Threads that never sleep must at least yield where there are more of them than CPUs.
    fn crowded(&self) -> bool {
        self.callers > std::thread::available_parallelism().map_or(1, |n| n.get())
    }

    /// Files lie in the folder of this pair, and names in shared memory begin with the folder's.
    fn node(&self) -> Result<Node<Ipc>, Failure> {
        let name = self.at.rsplit('/').next().unwrap_or_default();
        let mut config = Config::default();
        config.global.prefix = FileName::new(format!("{name}_").as_bytes())?;
        config.global.set_root_path(&Path::new(self.at.as_bytes())?);
        Ok(NodeBuilder::new().config(&config).create::<Ipc>()?)
    }

    fn calls(&self, node: &Node<Ipc>) -> Result<Calls<Ipc, [u8], (), [u8], ()>, Failure> {
        Ok(node
            .service_builder(&"calls".try_into()?)
            .request_response::<[u8], [u8]>()
            .max_clients(self.callers + SPARE)
            .max_servers(1 + SPARE)
            .max_nodes(self.callers + 1 + SPARE)
            .max_response_buffer_size(1)
            .open_or_create()?)
    }

    /// The event that wakes the server, or that of a caller.
    fn event(&self, node: &Node<Ipc>, caller: Option<usize>) -> Result<Events<Ipc>, Failure> {
        let name = caller.map_or("server".to_owned(), |i| format!("caller-{i}"));
        Ok(node
            .service_builder(&name.as_str().try_into()?)
            .event()
            .max_notifiers(self.callers + SPARE)
            .max_listeners(1 + SPARE)
            .max_nodes(self.callers + 1 + SPARE)
            .open_or_create()?)
    }
}

/// Waits for an event, or until the process was stopped and goes on.
fn hear(listener: &Listener<Ipc>) -> Result<(), Failure> {
    match listener.blocking_wait(|_| {}) {
        Ok(_) | Err(ListenerWaitError::InterruptSignal) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Says what went wrong and ends the process.
fn fail(error: Failure) -> ! {
    eprintln!("{error}");
    std::process::exit(1);
}

fn answer_one(server: &Server<Ipc, [u8], (), [u8], ()>) -> Result<Option<u64>, Failure> {
    let Some(request) = server.receive()? else {
        return Ok(None);
    };
    let bytes = request.payload();
    let response = request.loan_slice_uninit(bytes.len())?;
    response.write_from_slice(bytes).send()?;
    Ok(Some(u64::from_le_bytes(bytes[..8].try_into()?)))
}

fn serve(options: Options, ready: mpsc::Sender<()>) -> Result<(), Failure> {
    let node = options.node()?;
    let calls = options.calls(&node)?;
    let server = calls.server_builder().initial_max_slice_len(options.payload).create()?;
    if !options.events {
        let crowded = options.crowded();
        ready.send(())?;
        loop {
            if answer_one(&server)?.is_none() && crowded {
                std::thread::yield_now();
            }
        }
    }
    let listener = options.event(&node, None)?.listener_builder().create()?;
    let mut notifiers = Vec::new();
    for caller in 0..options.callers {
        notifiers.push(options.event(&node, Some(caller))?.notifier_builder().create()?);
    }
    ready.send(())?;
    loop {
        hear(&listener)?;
        while let Some(number) = answer_one(&server)? {
            notifiers[(number >> 40) as usize].notify()?; // peer.c numbers calls so
        }
    }
}

/// Returns when clients find the server.
#[no_mangle]
pub extern "C" fn peer_serve(raw: *const RawOptions) {
    let options = Options::new(raw).unwrap_or_else(|e| fail(e));
    let (ready, is_ready) = mpsc::channel();
    std::thread::spawn(move || {
        if let Err(error) = serve(options, ready) {
            fail(error);
        }
    });
    let _ = is_ready.recv(); // an error ends the process
}

/// A caller has a node of its own: threads share nothing of this library.
struct Caller {
    client: Client<Ipc, [u8], (), [u8], ()>,
    wake: Option<(Notifier<Ipc>, Listener<Ipc>)>,
    payload: usize,
    crowded: bool,
    _node: Node<Ipc>,
}

impl Caller {
    fn new(options: &Options, caller: usize) -> Result<Caller, Failure> {
        let node = options.node()?;
        let calls = options.calls(&node)?;
        let client = calls.client_builder().initial_max_slice_len(options.payload).create()?;
        let wake = if options.events {
            let notifier = options.event(&node, None)?.notifier_builder().create()?;
            let listener = options.event(&node, Some(caller))?.listener_builder().create()?;
            Some((notifier, listener))
        } else {
            None
        };
        Ok(Caller {
            client,
            wake,
            payload: options.payload,
            crowded: options.crowded(),
            _node: node,
        })
    }

    fn call(&self, request: &[u8], response: &mut [u8]) -> Result<(), Failure> {
        let loan = self.client.loan_slice_uninit(request.len())?;
        let pending = loan.write_from_slice(request).send()?;
        if let Some((notifier, _)) = &self.wake {
            notifier.notify()?;
        }
        loop {
            if let Some(reply) = pending.receive()? {
                response.copy_from_slice(reply.payload());
                return Ok(());
            }
            if let Some((_, listener)) = &self.wake {
                hear(listener)?;
            } else if self.crowded {
                std::thread::yield_now();
            }
        }
    }
}

#[no_mangle]
pub extern "C" fn peer_open(raw: *const RawOptions, caller: c_uint) -> *mut c_void {
    let opened = Options::new(raw).and_then(|o| Caller::new(&o, caller as usize));
    Box::into_raw(Box::new(opened.unwrap_or_else(|e| fail(e)))).cast()
}

/// # Safety
/// peer.c passes what peer_open returned, to one thread at a time, and two buffers of payload bytes.
#[no_mangle]
pub unsafe extern "C" fn peer_call(caller: *mut c_void, request: *const c_void, response: *mut c_void) -> c_int {
    let caller = &*caller.cast::<Caller>();
    let request = std::slice::from_raw_parts(request.cast(), caller.payload);
    let response = std::slice::from_raw_parts_mut(response.cast(), caller.payload);
    match caller.call(request, response) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("call: {error}");
            -1
        }
    }
}

/// Whoever started both sides removes the folder and the names that begin as it does.
#[no_mangle]
pub extern "C" fn peer_end(_raw: *const RawOptions, _server: c_int) {}

fn main() {
    set_log_level(LogLevel::Error);
    let mut arguments: Vec<*mut c_char> = std::env::args()
        .map(|argument| CString::new(argument).expect("an argument has no zero byte").into_raw())
        .collect();
    let count = arguments.len() as c_int;
    arguments.push(std::ptr::null_mut());
    // SAFETY: as many arguments, and a null pointer.
    std::process::exit(unsafe { peer_main(count, arguments.as_mut_ptr()) });
}
