# Turns keyed.csv and keyed_memory.csv into tables, and compares them with the cost budget:
#
#     awk -f keyed_table.awk keyed.csv keyed_memory.csv

# Splits a line. Names are quoted, because they may hold commas: "a, b","c",1,2 -> field[1..4]
function fields(line,    count, part, quoted) {
    delete field
    count = 0
    while (line != "") {
        quoted = line ~ /^"/
        match(line, quoted ? "^\"[^\"]*\"" : "^[^,]*")
        part = substr(line, 1, RLENGTH)
        line = substr(line, RLENGTH + 2)
        gsub(/"/, "", part)
        field[++count] = part
    }
}

function at_once(threads) {
    return threads == 1 ? "1 thread" : threads " threads"
}

# Returns a dash if one of the numbers is missing.
function ratio(one, other) {
    return one == "" || other == "" ? "-" : sprintf("%.3f", one / other)
}

function budget(title, most, measured) {
    printf "| %s | %s | %s |\n", title, most, measured
}

FNR == 1 { next }
{ fields($0) }

FILENAME ~ /memory/ {
    bytes[field[1], field[2], field[3]] = field[5]
    next
}

{
    row = field[1] "|" field[2]
    if (!(field[1] in number)) number[field[1]] = ++group_count
    g = number[field[1]]
    if (!(row in seen)) {
        seen[row] = 1
        rows[g, ++row_count[g]] = row
    }
    time[row, field[3]] = field[5]
    if (!(field[3] in known)) {
        known[field[3]] = 1
        threads[++thread_count] = field[3]
    }
}

END {
    printf "| ns per call and thread (estimate) |"
    for (t = 1; t <= thread_count; t++) printf " %s |", at_once(threads[t])
    printf "\n|---|"
    for (t = 1; t <= thread_count; t++) printf "---|"
    print ""
    for (g = 1; g <= group_count; g++)
        for (r = 1; r <= row_count[g]; r++) {
            row = rows[g, r]
            title = row
            sub(/\|/, ": ", title)
            printf "| %s |", title
            for (t = 1; t <= thread_count; t++) printf " %.1f |", time[row, threads[t]]
            print ""
        }

    print "\n| path | budget | measured |\n|---|---|---|"
    split("uniform zipf", distributions, " ")
    for (d = 1; d <= 2; d++) {
        hit = "hit, 1000 keys, " distributions[d] "|"
        for (t = 1; t <= thread_count; t++) {
            at = distributions[d] ", " at_once(threads[t])
            governor = time[hit "governor keyed", threads[t]]
            budget("Keyed / governor, 1 000 keys, " at, "0.65",
                ratio(time[hit "tidegate Keyed", threads[t]], governor))
            budget("FixedKeyed / governor, 1 000 keys, " at, "0.6",
                ratio(time[hit "tidegate FixedKeyed", threads[t]], governor))
        }
    }
    full = "hit, full at each visit, 1000 keys, uniform|"
    for (t = 1; t <= thread_count; t++)
        budget("Keyed / governor, buckets full at each visit, " at_once(threads[t]), "0.70",
            ratio(time[full "tidegate Keyed", threads[t]], time[full "governor keyed", threads[t]]))
    split("String(36) u64 IpKey", keys, " ")
    split("1000 100000 1000000", counts, " ")
    for (c = 1; c <= 3; c++)
        budget("bytes per key of FixedKeyed, " counts[c] " keys", "32",
            bytes["tidegate FixedKeyed", keys[1], counts[c]])
    for (k = 1; k <= 3; k++)
        for (c = 1; c <= 3; c++)
            budget("bytes per key of Keyed / governor, " counts[c] " keys, " keys[k], "1",
                ratio(bytes["tidegate Keyed", keys[k], counts[c]],
                    bytes["governor keyed", keys[k], counts[c]]))
}
