#!/usr/bin/env python3
"""Prints each skipped test of ctest's JUnit file with the reason that the test gave, or that the emulated host ran it."""
import re
import sys
import xml.etree.ElementTree as ElementTree

cases = list(ElementTree.parse(sys.argv[1]).getroot().iter("testcase"))
output = {case.get("name"): case.findtext("system-out") or "" for case in cases}
# Cases of a program that the emulated host runs as a whole.
CASES = {"vmm.": "vmm_integration_test"}
# Only programs that skipped none of their cases in there: the suite says so behind the seconds.
emulated = set(re.findall(r"^ok +(\S+) +\d+ s *$", output.get("emulated_host", ""), re.MULTILINE))

skipped = elsewhere = 0
for case in cases:
    name = case.get("name")
    if case.find("skipped") is None and case.get("status") not in ("notrun", "disabled"):
        continue
    program = next((program for prefix, program in CASES.items() if name.startswith(prefix)), name)
    if program in emulated:
        elsewhere += 1
        print(f"  {name}: passed in the emulated host")
        continue
    skipped += 1
    # GoogleTest prints the reason on the line after "file:line: Skipped", scripts print "SKIP: reason".
    reason = re.search(r"(?:: Skipped\n|^SKIP: )(.+)", output[name], re.MULTILINE)
    print(f"  {name}: {reason.group(1).strip() if reason else 'no reason given'}")
print(f"{skipped} skipped, {elsewhere} in the emulated host instead")
