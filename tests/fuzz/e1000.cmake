patchbay_fuzzer(e1000_fuzzer e1000_fuzzer.cpp LINK patchbay_e1000)
