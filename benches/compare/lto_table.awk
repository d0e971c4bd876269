# Sets throughput.csv and throughput_fat_lto.csv side by side, as a table:
#
#     awk -f lto_table.awk throughput.csv throughput_fat_lto.csv

FNR == 1 { file++; next }

{
    # Only the name of the limiter may be quoted.
    quoted = $0 ~ /^"/
    match($0, quoted ? "^\"[^\"]*\"" : "^[^,]*")
    name = substr($0, 1, RLENGTH)
    gsub(/"/, "", name)
    split(substr($0, RLENGTH + 2), field, ",")
    column = field[1] "," field[2]
    time[file, name, column] = field[3]
    if (file == 2 || field[1] == "part") next
    if (!(name in known)) {
        known[name] = 1
        names[++name_count] = name
    }
    if (!(column in known)) {
        known[column] = 1
        columns[++column_count] = column
    }
}

END {
    print "ns per call and thread without LTO between crates, as in `throughput.csv`, and with fat"
    print "LTO and 1 codegen unit, as in `throughput_fat_lto.csv`. Two programs measured them, one"
    print "after the other. Medians.\n"
    printf "| limiter |"
    for (c = 1; c <= column_count; c++) {
        split(columns[c], field, ",")
        printf " %s, %s |", field[1], field[2] == 1 ? "1 thread" : field[2] " threads"
    }
    printf "\n|---|"
    for (c = 1; c <= column_count; c++) printf "---|"
    print ""
    for (n = 1; n <= name_count; n++) {
        name = names[n]
        printf "| %s |", name ~ /^tidegate/ ? "**" name "**" : name
        for (c = 1; c <= column_count; c++)
            printf " %.1f, %.1f |", time[1, name, columns[c]], time[2, name, columns[c]]
        print ""
    }
}
