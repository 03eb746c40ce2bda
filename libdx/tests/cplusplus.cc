/* SPDX-License-Identifier: Apache-2.0 */
/* A program in C++ that uses libdx by dx.hpp, built by each standard from C++11 on; cplusplus.sh.
 */
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>
#if __cplusplus >= 202002L
#include <span>
#endif

#include <dx/dx.hpp>

#define MUST(what)                                                                                 \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);                \
            std::exit(1);                                                                          \
        }                                                                                          \
    } while (0)

namespace
{

constexpr uint32_t type_echo = DX_TYPE_USER;
constexpr uint32_t type_throw = DX_TYPE_USER + 1;
constexpr uint32_t type_stream = DX_TYPE_USER + 2;

struct refused : std::runtime_error {
    refused() : std::runtime_error("a handler has thrown") {}
};

/* A handler that has state, and is not copied. */
struct answers {
    int calls = 0;
    answers() = default;
    answers(const answers &) = delete;
    answers &operator=(const answers &) = delete;
    int32_t operator()(const dx::request &q, dx::response &r)
    {
        calls++;
        if (q.type() == type_throw)
            throw refused();
        MUST(q.size() <= r.size());
        std::memcpy(r.data(), q.data(), q.size());
        r.resize(q.size());
        return 7;
    }
};

int32_t echo(dx::stream_view s)
{
    std::array<char, 10> buffer;
    for (;;) {
        dx::mutable_bytes got = s.read(buffer);
        s.write(got);
        if (got.size() < buffer.size())
            return 9;
    }
}

int32_t stream_handler(void *, struct dx_stream *of)
{
    try {
        return echo(dx::stream_view(of));
    } catch (const dx::error &e) { /* the caller has given it up */
        return e.status();
    }
}

dx_status status_of(void (*what)(dx::caller &), dx::caller &caller)
{
    try {
        what(caller);
    } catch (const dx::error &e) {
        MUST(std::strlen(e.what()) != 0);
        return e.status();
    }
    return DX_OK;
}

/* Serves until the host closes; an exception of a handler comes out, and serving begins again. */
void serve(dx::channel &guest, answers &a, int &caught)
{
    dx_serve_options options = {};
    options.stream = stream_handler;
    for (;;) {
        try {
            MUST(dx::serve(guest, a, &options) == DX_ERR_PEER_CLOSED);
            return;
        } catch (const refused &) {
            caught++;
        }
    }
}

void call(dx::channel &host)
{
    dx::caller caller(host);
    char buffer[64];
    dx::reply r = caller.call(type_echo, "hello", buffer);
    MUST(r.status == 7 && r.data.str() == "hello");
    MUST(caller.call(type_echo, std::string("a string"), buffer).data.size() == 8);
    const std::vector<int> numbers = {1, 2, 3};
    MUST(caller.call(type_echo, numbers, buffer).data.size() == 3 * sizeof(int));
    MUST(caller.call(type_echo, {}, {}).data.empty());
#if __cplusplus >= 202002L
    const std::span<const unsigned char> view = caller.call(type_echo, numbers, buffer).data;
    MUST(view.size_bytes() == 3 * sizeof(int));
#endif
    const dx::mutable_bytes place = caller.request(host);
    MUST(place.size() >= 64);
    std::memcpy(place.data(), "in place", 8);
    MUST(caller.call_in_place(type_echo, 8).data.str() == "in place");

    MUST(status_of([](dx::caller &c) { c.call(type_throw, {}, {}); }, caller) == DX_ERR_LOST);
    MUST(status_of([](dx::caller &c) { c.call(1, {}, {}); }, caller) == DX_ERR_TYPE);
    dx::caller moved = std::move(caller);
    MUST(moved.call(type_echo, "still", buffer).data.size() == 5);
}

void stream(dx::channel &host)
{
    dx::caller caller(host);
    for (int given_up = 0; given_up < 2; given_up++) {
        dx::stream s(caller, type_stream);
        s.write("0123456789abc");
        char buffer[100];
        MUST(s.read(dx::mutable_bytes(buffer, 10)).str() == "0123456789");
        if (given_up != 0)
            continue;
        s.close_write();
        MUST(s.read(buffer).str() == "abc");
        dx::stream moved = std::move(s);
        MUST(moved.end() == 9);
    }
}

} // namespace

int main()
{
    dx_config config = DX_CONFIG_INIT;
    config.slots = 2;
    config.request_capacity = config.response_capacity = 64;
    answers a;
    int caught = 0;
    {
        dx::channel host = dx::channel::create("memfd:", config);
        dx::channel guest =
            dx::channel::attach("memfd:" + std::to_string(dx_channel_fd(host.get())));
        std::thread serving(serve, std::ref(guest), std::ref(a), std::ref(caught));
        host.wait_peer(std::chrono::hours(1));
        call(host);
        stream(host);
        dx::channel ended =
            std::move(host); /* it closes at the end of this block, and serving ends */
        {
            dx::channel now = std::move(ended);
        }
        serving.join();
    }
    MUST(caught == 1 && a.calls > 5);
    try {
        dx::channel::attach("nonsense:");
        MUST(false);
    } catch (const dx::error &e) {
        MUST(e.status() == DX_ERR_URL &&
             std::string(e.what()).find("nonsense") != std::string::npos);
    }
    std::puts("all right");
    return 0;
}
