#!/usr/bin/env python3
"""Prints each skipped test of ctest's JUnit file with the reason that the test gave."""
import re
import sys
import xml.etree.ElementTree as ElementTree

skipped = 0
for case in ElementTree.parse(sys.argv[1]).getroot().iter("testcase"):
    if case.find("skipped") is None and case.get("status") not in ("notrun", "disabled"):
        continue
    skipped += 1
    output = case.findtext("system-out") or ""
    # GoogleTest prints the reason on the line after "file:line: Skipped", scripts print "SKIP: reason".
    reason = re.search(r"(?:: Skipped\n|^SKIP: )(.+)", output, re.MULTILINE)
    print(f"  {case.get('name')}: {reason.group(1).strip() if reason else 'no reason given'}")
print(f"{skipped} skipped")
