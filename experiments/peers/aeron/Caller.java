// SPDX-License-Identifier: Apache-2.0

import io.aeron.FragmentAssembler;
import io.aeron.Image;
import io.aeron.Publication;
import io.aeron.Subscription;
import io.aeron.logbuffer.FragmentHandler;
import java.util.concurrent.locks.LockSupport;
import org.agrona.BitUtil;
import org.agrona.BufferUtil;
import org.agrona.concurrent.IdleStrategy;
import org.agrona.concurrent.UnsafeBuffer;

/** One caller: a stream of requests, and one of responses. A thread of its own for each order. */
final class Caller {
    static volatile boolean ended;

    final Times roundTrips = new Times();
    final Times fromIntended = new Times();
    long made;
    long wrong;
    long missed;

    private static final int FRAGMENTS = 10;
    private static final long SPIN_NS = 20_000; // of a wait for a start: no sleep is so short

    private final int index;
    private final int callers;
    private final Publication requests;
    private final Image responses;
    private final IdleStrategy idle;
    private final UnsafeBuffer request;
    private final UnsafeBuffer response;
    private final FragmentHandler take;
    private long sequence;

    Caller(int index, int callers, int payload, Publication requests, Subscription responses, IdleStrategy idle) {
        this.index = index;
        this.callers = callers;
        this.requests = requests;
        this.idle = idle;
        while (!requests.isConnected() || !responses.isConnected()) {
            Thread.yield();
        }
        this.responses = responses.imageAtIndex(0);
        sequence = (long) index << 40;
        request = new UnsafeBuffer(BufferUtil.allocateDirectAligned(payload, BitUtil.CACHE_LINE_LENGTH));
        response = new UnsafeBuffer(BufferUtil.allocateDirectAligned(payload, BitUtil.CACHE_LINE_LENGTH));
        request.setMemory(0, payload, (byte) (index + 1));
        take = new FragmentAssembler((buffer, offset, length, header) -> response.putBytes(0, buffer, offset, length));
    }

    /** Each request has its own number, which the response must have, too. */
    private void callOnce() {
        request.putLong(0, ++sequence);
        long position;
        idle.reset();
        while ((position = requests.offer(request)) < 0) {
            idle.idle();
        }
        idle.reset();
        // The response has as many bytes, in a stream of its own, which began as long ago.
        while (responses.position() < position) {
            idle.idle(responses.poll(take, FRAGMENTS));
        }
        if (response.getLong(0) != sequence) {
            wrong++;
        }
        made++;
    }

    void run(long beganNs, long durationNs, boolean timed, double ratePerS, boolean calls) {
        made = wrong = missed = 0;
        roundTrips.clear();
        fromIntended.clear();
        if (ratePerS > 0) {
            runScheduled(beganNs, durationNs, ratePerS, calls);
            return;
        }
        if (!timed) {
            while (!ended) {
                callOnce();
            }
            return;
        }
        long before = System.nanoTime();
        while (!ended) {
            callOnce();
            long after = System.nanoTime();
            roundTrips.record(after - before);
            before = after;
        }
    }

    /** Call number n is to start n/rate after the begin; it belongs to caller n modulo their number. */
    private void runScheduled(long beganNs, long durationNs, double ratePerS, boolean calls) {
        double intervalNs = 1e9 / ratePerS;
        for (long n = index; ; n += callers) {
            long startNs = (long) (n * intervalNs);
            long now = System.nanoTime() - beganNs;
            if (startNs >= durationNs) {
                return;
            }
            if (now > 2 * durationNs) {
                missed++;
                continue;
            }
            while (startNs - now > SPIN_NS) {
                LockSupport.parkNanos(startNs - now - SPIN_NS);
                now = System.nanoTime() - beganNs;
            }
            while (now < startNs) {
                now = System.nanoTime() - beganNs;
            }
            if (!calls) {
                made++;
                continue;
            }
            callOnce();
            long end = System.nanoTime() - beganNs;
            roundTrips.record(end - now);
            fromIntended.record(end - startNs);
        }
    }
}
