// SPDX-License-Identifier: Apache-2.0

import io.aeron.Aeron;
import io.aeron.CommonContext;
import io.aeron.FragmentAssembler;
import io.aeron.Publication;
import io.aeron.Subscription;
import io.aeron.driver.MediaDriver;
import io.aeron.driver.ThreadingMode;
import io.aeron.logbuffer.FragmentHandler;
import java.io.BufferedReader;
import java.io.FileOutputStream;
import java.io.FileDescriptor;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.agrona.concurrent.BackoffIdleStrategy;
import org.agrona.concurrent.BusySpinIdleStrategy;
import org.agrona.concurrent.IdleStrategy;
import org.agrona.concurrent.YieldingIdleStrategy;

/**
 * Aeron over IPC, as its sample EmbeddedPingPong, but in two processes: the server has the media driver,
 * and a thread that answers all callers. A way is default, the driver and back-off strategies as they
 * come, or busy: busy spin on both sides, memory touched before, and a driver on one thread that sleeps,
 * since over IPC no message passes through it. What either side is told and says is in
 * experiments/peers/c/peer.h.
 */
public final class Peer {
    private static final int FIRST_STREAM = 1001;
    private static final int FRAGMENTS = 10;

    private final String side;
    private String way = "";
    private String at = "";
    private int payload;
    private int callers;

    private Peer(String[] args) {
        side = args.length > 0 ? args[0] : "";
        for (int i = 1; i + 1 < args.length; i += 2) {
            switch (args[i]) {
                case "-way" -> way = args[i + 1];
                case "-at" -> at = args[i + 1];
                case "-payload" -> payload = Integer.parseInt(args[i + 1]);
                case "-callers" -> callers = Integer.parseInt(args[i + 1]);
                default -> usage();
            }
        }
        if (payload < 8 || callers < 1 || !way.equals("busy") && !way.equals("default")) {
            usage();
        }
    }

    private static void usage() {
        System.err.println("server|client -way busy|default -at FOLDER -payload BYTES -callers NUMBER");
        System.exit(2);
    }

    public static void main(String[] args) throws Exception {
        Peer peer = new Peer(args);
        switch (peer.side) {
            case "server" -> peer.serve();
            case "client" -> peer.call();
            default -> usage();
        }
        System.exit(0);
    }

    /** The driver's folder: in shared memory, and named as that of this pair. */
    private String driver() {
        return "/dev/shm/" + Path.of(at).getFileName();
    }

    private boolean isBusy() {
        return way.equals("busy");
    }

    /** Threads that never sleep must at least yield where there are more of them than CPUs. */
    private IdleStrategy idle() {
        if (!isBusy()) {
            return new BackoffIdleStrategy();
        }
        return callers > Runtime.getRuntime().availableProcessors() ? new YieldingIdleStrategy() : new BusySpinIdleStrategy();
    }

    private Aeron connect() {
        Aeron.Context context = new Aeron.Context().aeronDirectoryName(driver());
        if (isBusy()) {
            context.preTouchMappedMemory(true);
        }
        return Aeron.connect(context);
    }

    private Publication publish(Aeron aeron, int stream) {
        return aeron.addExclusivePublication(CommonContext.IPC_CHANNEL, stream);
    }

    private void serve() throws IOException {
        MediaDriver.Context context = new MediaDriver.Context().aeronDirectoryName(driver()).dirDeleteOnStart(true).dirDeleteOnShutdown(true);
        if (isBusy()) {
            context.threadingMode(ThreadingMode.SHARED);
        }
        try (MediaDriver ignored = MediaDriver.launch(context); Aeron aeron = connect()) {
            List<Subscription> requests = new ArrayList<>();
            List<FragmentHandler> handlers = new ArrayList<>();
            for (int i = 0; i < callers; i++) {
                requests.add(aeron.addSubscription(CommonContext.IPC_CHANNEL, FIRST_STREAM + 2 * i));
                Publication responses = publish(aeron, FIRST_STREAM + 2 * i + 1);
                IdleStrategy idle = idle();
                handlers.add(new FragmentAssembler((buffer, offset, length, header) -> {
                    idle.reset();
                    while (responses.offer(buffer, offset, length) < 0) {
                        idle.idle();
                    }
                }));
            }
            Thread answering = new Thread(() -> answer(requests, handlers));
            answering.setDaemon(true);
            answering.start();
            System.out.println("ready");
            while (System.in.read() >= 0) {
                continue;
            }
            System.exit(0); // the driver's folder goes with our parent's clearing up
        }
    }

    private void answer(List<Subscription> requests, List<FragmentHandler> handlers) {
        IdleStrategy idle = idle();
        while (true) {
            int fragments = 0;
            for (int i = 0; i < requests.size(); i++) {
                fragments += requests.get(i).poll(handlers.get(i), FRAGMENTS);
            }
            idle.idle(fragments);
        }
    }

    private void call() throws IOException, InterruptedException {
        PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), true);
        Aeron aeron = connect();
        List<Caller> all = new ArrayList<>();
        for (int i = 0; i < callers; i++) {
            Subscription responses = aeron.addSubscription(CommonContext.IPC_CHANNEL, FIRST_STREAM + 2 * i + 1);
            all.add(new Caller(i, callers, payload, publish(aeron, FIRST_STREAM + 2 * i), responses, idle()));
        }
        out.println("ready");
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in));
        for (String line = orders.readLine(); line != null; line = orders.readLine()) {
            String[] words = line.split(" ");
            out.println(carryOut(all, Long.parseLong(words[0]), words[1].equals("1"), Double.parseDouble(words[2]), words[3].equals("1")));
        }
        aeron.close();
    }

    private static String carryOut(List<Caller> all, long durationNs, boolean timed, double ratePerS, boolean calls)
            throws InterruptedException {
        List<Thread> threads = new ArrayList<>();
        Caller.ended = false;
        long began = System.nanoTime();
        for (Caller caller : all) {
            Thread thread = new Thread(() -> caller.run(began, durationNs, timed, ratePerS, calls));
            thread.start();
            threads.add(thread);
        }
        if (ratePerS == 0) {
            Thread.sleep(durationNs / 1_000_000, (int) (durationNs % 1_000_000));
            Caller.ended = true;
        }
        for (Thread thread : threads) {
            thread.join();
        }
        return report(all, System.nanoTime() - began);
    }

    private static String report(List<Caller> all, long elapsedNs) {
        StringBuilder text = new StringBuilder("{\"calls\":[");
        Times roundTrips = new Times();
        Times fromIntended = new Times();
        long wrong = 0;
        long missed = 0;
        for (Caller caller : all) {
            text.append(caller == all.get(0) ? "" : ",").append(caller.made);
            wrong += caller.wrong;
            missed += caller.missed;
            roundTrips.merge(caller.roundTrips);
            fromIntended.merge(caller.fromIntended);
        }
        text.append("],\"elapsed_ns\":").append(elapsedNs).append(",\"wrong\":").append(wrong).append(",\"missed\":").append(missed);
        text.append(",\"round_trips\":");
        roundTrips.print(text);
        text.append(",\"from_intended\":");
        fromIntended.print(text);
        return text.append('}').toString();
    }
}
