// SPDX-License-Identifier: Apache-2.0

/** Times of calls to eleven binary digits, as those of experiments/peers/c/times.h. */
final class Times {
    private static final int DIGITS = 11;
    private static final int SHIFTS = 26;
    private final long[] count = new long[(SHIFTS + 1) << DIGITS];

    void record(long ns) {
        long value = Math.max(ns, 0);
        int shift = Math.max(64 - Long.numberOfLeadingZeros(value | 1) - DIGITS, 0);
        if (shift > SHIFTS) {
            shift = SHIFTS;
            value = (1L << (DIGITS + SHIFTS)) - 1;
        }
        count[(shift << DIGITS) + (int) (value >> shift)]++;
    }

    void clear() {
        java.util.Arrays.fill(count, 0);
    }

    void merge(Times other) {
        for (int i = 0; i < count.length; i++) {
            count[i] += other.count[i];
        }
    }

    /** [[ns,count],...] */
    void print(StringBuilder out) {
        String separator = "";
        out.append('[');
        for (int i = 0; i < count.length; i++) {
            if (count[i] == 0) {
                continue;
            }
            int shift = i >> DIGITS;
            long ns = ((long) (i & ((1 << DIGITS) - 1)) << shift) + ((1L << shift) >> 1);
            out.append(separator).append('[').append(ns).append(',').append(count[i]).append(']');
            separator = ",";
        }
        out.append(']');
    }
}
