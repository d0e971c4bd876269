# Turns the output of `cargo bench` into CSV: criterion's estimate and interval, in nanoseconds.

function nanos(number, unit) {
    if (unit == "ps") return number / 1e3
    if (unit == "ns") return number
    if (unit == "ms") return number * 1e6
    if (unit == "s") return number * 1e9
    return number * 1e3 # microseconds, in any spelling
}

BEGIN { print "group,limiter,threads,low_ns,estimate_ns,high_ns" }

# The name of a row is before its time, or, if it is long, on a line of its own.
/^[^ ].*\/threads=[0-9]+/ {
    row = $0
    sub(/ *time:.*/, "", row)
    split(row, name, "/")
    threads = name[3]
    sub(/threads=/, "", threads)
}

/time: +\[/ {
    times = $0
    sub(/.*\[/, "", times)
    sub(/\].*/, "", times)
    split(times, time, " ")
    printf "\"%s\",\"%s\",%d,%.2f,%.2f,%.2f\n", name[1], name[2], threads,
        nanos(time[1], time[2]), nanos(time[3], time[4]), nanos(time[5], time[6])
}
