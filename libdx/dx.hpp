/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * libdx for C++11 and later: handles that close themselves, views in place of pointer and size, and
 * exceptions in place of statuses. It is all inline and adds nothing to what the C functions do.
 * Where a function is missing here, get() gives the C handle to the C function.
 *
 * @code
 *   dx::channel host = dx::channel::create("shm:demo", {8, 0, 64, 64});
 *   dx::caller caller(host);
 *   char answer[64];
 *   dx::reply reply = caller.call(DX_TYPE_USER, "hello", answer, std::chrono::seconds(1));
 *
 *   dx::channel guest = dx::channel::attach("shm:demo");
 *   dx::serve(guest, [](const dx::request &q, dx::response &r) {
 *       std::memcpy(r.data(), q.data(), q.size());
 *       r.resize(q.size());
 *       return 0;
 *   });
 * @endcode
 *
 * A handle is moved, not copied. Close callers and streams before their channel, which is the order
 * in which C++ destroys what was declared after it. A channel whose caller is still open, or that
 * is still served, is not closed by its destructor, and its memory stays.
 *
 * What an exception does that leaves a handler is the same as in C: dx_serve.h says it. With one
 * thread it passes through serve().
 */
#ifndef DX_HPP
#define DX_HPP

#include <chrono>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "dx.h"

namespace dx
{

/** How long to wait. */
using timeout = std::chrono::nanoseconds;
/** A timeout that never ends. */
constexpr timeout forever{DX_FOREVER};

/** What a function threw: the status, and dx_last_error(). */
class error : public std::runtime_error
{
  public:
    explicit error(dx_status status) : std::runtime_error(text(status)), status_(status) {}
    dx_status status() const noexcept { return status_; }

  private:
    static std::string text(dx_status status)
    {
        const std::string detail = dx_last_error();
        return dx_status_string(status) + (detail.empty() ? detail : ": " + detail);
    }
    dx_status status_;
};

/** Throws unless the status is DX_OK. */
inline void check(dx_status status)
{
    if (status != DX_OK)
        throw error(status);
}

/** A view of memory that others own, as std::span<T>, which it becomes by itself where there is
 * one. Byte is unsigned char, or const unsigned char. */
template <class Byte> class basic_bytes
{
    using chars = typename std::conditional<std::is_const<Byte>::value, const void, void>::type;
    template <class C> using element = decltype(*std::declval<C &>().data());
    template <class C>
    using fits = typename std::enable_if<
        std::is_convertible<decltype(std::declval<C &>().data()), chars *>::value &&
        std::is_trivially_copyable<typename std::remove_reference<element<C>>::type>::value>::type;

  public:
    basic_bytes() noexcept = default;
    basic_bytes(chars *data, std::size_t size) noexcept
        : data_(static_cast<Byte *>(data)), size_(size)
    {
    }
    /** An array; a text without the zero at its end. */
    template <class T, std::size_t N>
    basic_bytes(T (&array)[N]) noexcept
        : basic_bytes(array, sizeof array - (std::is_same<T, const char>::value ? 1 : 0))
    {
    }
    /** A std::string, std::vector, std::array, std::string_view, std::span and their kin. */
    template <class C, class = fits<C>>
    basic_bytes(C &&container) noexcept
        : basic_bytes(container.data(), container.size() * sizeof(*container.data()))
    {
    }

    Byte *data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    Byte *begin() const noexcept { return data_; }
    Byte *end() const noexcept { return data_ + size_; }
    Byte &operator[](std::size_t i) const noexcept { return data_[i]; }
    basic_bytes first(std::size_t n) const noexcept { return {data_, n}; }
    std::string str() const { return {reinterpret_cast<const char *>(data_), size_}; }

  private:
    Byte *data_ = nullptr;
    std::size_t size_ = 0;
};
/** What is read. */
using bytes = basic_bytes<const unsigned char>;
/** What is written. */
using mutable_bytes = basic_bytes<unsigned char>;

/** One side's handle on a region: struct dx_channel. */
class channel
{
  public:
    static channel create(const std::string &url, const dx_config &config = DX_CONFIG_INIT)
    {
        dx_channel *out;
        check(dx_create(url.c_str(), &config, &out));
        return channel(out);
    }
    static channel attach(const std::string &url, timeout limit = forever,
                          const dx_wait *wait = nullptr)
    {
        dx_channel *out;
        check(dx_attach(url.c_str(), wait, limit.count(), &out));
        return channel(out);
    }
    /** Takes over a channel that C functions have opened. */
    explicit channel(dx_channel *of) noexcept : of_(of) {}
    void wait_peer(timeout limit = forever) { check(dx_wait_peer(get(), limit.count())); }
    /** Any thread and any signal handler may call it. */
    void stop() noexcept { dx_stop(get()); }
    dx_channel *get() const noexcept { return of_.get(); }

  private:
    struct closer {
        void operator()(dx_channel *of) const noexcept { (void)dx_close(of); }
    };
    std::unique_ptr<dx_channel, closer> of_;
};

/** What came back of a call: the handler's status and the response. */
struct reply {
    int32_t status;
    bytes data; /**< in the caller's buffer; of call_in_place, in the region */
};

/** One slot, on which one thread at a time calls: struct dx_caller. */
class caller
{
  public:
    explicit caller(const channel &on, timeout limit = forever)
    {
        dx_caller *out;
        check(dx_caller_open(on.get(), limit.count(), &out));
        of_.reset(out);
    }
    reply call(uint32_t type, bytes request, mutable_bytes response, timeout limit = forever)
    {
        reply r{0, {}};
        std::size_t size = response.size();
        check(dx_call(get(), type, request.data(), request.size(), response.data(),
                      response.data() != nullptr ? &size : nullptr, &r.status, limit.count()));
        r.data = bytes(response.data(), response.data() != nullptr ? size : 0);
        return r;
    }
    /** The memory in which the next request is built; empty while a handler may still read there.
     */
    mutable_bytes request(const channel &on) noexcept
    {
        void *data = dx_caller_request(get());
        return {data, data != nullptr ? dx_channel_request_capacity(on.get()) : 0};
    }
    /** Sends the first `size` bytes of request(). */
    reply call_in_place(uint32_t type, std::size_t size, timeout limit = forever)
    {
        dx_reply r;
        check(dx_call_in_place(get(), type, size, &r, limit.count()));
        return {r.status, bytes(r.data, r.bytes)};
    }
    dx_caller *get() const noexcept { return of_.get(); }

  private:
    struct closer {
        void operator()(dx_caller *of) const noexcept { dx_caller_close(of); }
    };
    std::unique_ptr<dx_caller, closer> of_;
};

/** A stream, of either side: struct dx_stream. */
class stream_view
{
  public:
    explicit stream_view(dx_stream *of) noexcept : of_(of) {}
    void write(bytes data, timeout limit = forever)
    {
        check(dx_stream_write(of_, data.data(), data.size(), nullptr, limit.count()));
    }
    /** Fills the buffer, or less of it at the end of the stream; returns what was filled. */
    mutable_bytes read(mutable_bytes buffer, timeout limit = forever)
    {
        std::size_t size = 0;
        check(dx_stream_read(of_, buffer.data(), buffer.size(), &size, limit.count()));
        return buffer.first(size);
    }
    void close_write() noexcept { dx_stream_close_write(of_); }
    dx_stream *get() const noexcept { return of_; }

  protected:
    dx_stream *of_;
};

/** A stream that this side has opened. It is given up unless end() was called. */
class stream : public stream_view
{
  public:
    stream(const caller &on, uint32_t type, timeout limit = forever) : stream_view(nullptr)
    {
        check(dx_stream_open(on.get(), type, nullptr, limit.count(), &of_));
    }
    stream(stream &&other) noexcept : stream_view(other.of_) { other.of_ = nullptr; }
    stream &operator=(stream &&other) noexcept
    {
        std::swap(of_, other.of_);
        return *this;
    }
    ~stream()
    {
        if (of_ != nullptr)
            dx_stream_cancel(of_);
    }
    /** Finishes the request, waits for the handler and returns its status. */
    int32_t end(timeout limit = forever)
    {
        int32_t status = 0;
        dx_stream *of = of_;
        of_ = nullptr; /* it is gone, whatever comes of this */
        check(dx_stream_end(of, &status, limit.count()));
        return status;
    }
};

/** A request, as a handler sees it. */
class request : public bytes
{
  public:
    explicit request(const dx_request *of) noexcept : bytes(of->data, of->bytes), of_(of) {}
    uint32_t type() const noexcept { return of_->type; }
    uint32_t slot() const noexcept { return of_->slot; }
    const dx_request *get() const noexcept { return of_; }

  private:
    const dx_request *of_;
};

/** Room for the response, as a handler sees it. */
class response : public mutable_bytes
{
  public:
    explicit response(dx_response *of) noexcept : mutable_bytes(of->data, of->capacity), of_(of) {}
    /** Says how long the response is. */
    void resize(std::size_t size) noexcept { of_->bytes = size; }
    dx_response *get() const noexcept { return of_; }

  private:
    dx_response *of_;
};

/** dx_serve() with anything that is called as int32_t (const request &, response &). It returns why
 * serving has ended: DX_ERR_STOPPED, DX_ERR_PEER_CLOSED and so on. */
template <class Handler>
dx_status serve(channel &on, Handler &&handler, const dx_serve_options *options = nullptr)
{
    using type = typename std::remove_reference<Handler>::type;
    const dx_handler call = [](void *user, const dx_request *q, dx_response *r) -> int32_t {
        const request in(q);
        response out(r);
        return (*static_cast<type *>(user))(in, out);
    };
    return dx_serve(on.get(), call,
                    const_cast<void *>(static_cast<const void *>(std::addressof(handler))),
                    options);
}

} // namespace dx

#endif
