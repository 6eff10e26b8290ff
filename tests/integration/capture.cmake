# Captures read back by Wireshark's tools.
find_package(GTest REQUIRED)
include(GoogleTest)

add_executable(capture_stream_test capture/stream_test.cpp)
target_link_libraries(capture_stream_test PRIVATE patchbay_options patchbay_capture_client GTest::gmock
                      GTest::gtest_main)
gtest_discover_tests(capture_stream_test TEST_PREFIX "capture_stream_test."
                     PROPERTIES LABELS integration TIMEOUT 60)
