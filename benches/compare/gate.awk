# Compares measured counts with the expected ones:
#
#     awk -v tools=TOOLS -v source=CLOCK -f gate.awk instructions.txt MEASURED

# Returns the name of the path. The last field of the line is the count.
function path() {
    return substr($0, 1, match($0, / +[0-9.]+$/) - 1)
}

function fail(text) {
    print "FAILED: " text
    failed++
}

FNR == 1 { file++ }
file == 1 && FNR == 2 {
    recorded = substr($0, 3)
    exact = recorded == tools
    print "recorded with " recorded
    if (exact)
        print "here with the same: a path may take 1 instruction more"
    else
        print "here with " tools ": a path may take 8 % and 1 instruction more"
}
/^#/ || $1 == "path" { next }
!match($0, /[^ ] +[0-9.]+$/) {
    fail("cannot read: " $0)
    next
}
file == 1 {
    expected[path()] = $NF
    next
}
{
    name = path()
    seen[name] = 1
    if (!(name in expected)) {
        fail(name ": takes " $NF " and has no entry: add it with gate.sh --update")
        next
    }
    if (name ~ /^default clock/ && source != "tsc") {
        print "not compared: " name ", since the clock source here is " source
        next
    }
    compared++
    was = expected[name]
    # 0.05 more, because both counts are rounded.
    slack = exact ? 1.05 : was * 0.08 + 1
    change = sprintf("%s: %s instructions per call instead of %s", name, $NF, was)
    if ($NF > was + slack)
        fail(change)
    else if ($NF < was - slack && exact)
        fail(change ": lower the number with gate.sh --update")
    else if ($NF < was - slack)
        print "better: " change
}
END {
    for (name in expected)
        if (!(name in seen))
            fail(name ": has an entry but no path: remove it with gate.sh --update")
    if (!compared)
        fail("nothing was compared")
    print compared + 0 " paths compared, " failed + 0 " failures"
    exit failed > 0
}
