# Labs on the real host: namespaces, KVM, the patchbay program. All need root and print what they check.
find_package(GTest REQUIRED)

add_executable(node_test "${CMAKE_CURRENT_LIST_DIR}/lab/node_test.cpp")
target_link_libraries(node_test PRIVATE patchbay_options patchbay_node GTest::gmock GTest::gtest_main)
add_test(NAME node_test COMMAND node_test)
set_tests_properties(node_test PROPERTIES LABELS integration TIMEOUT 60)

add_test(NAME lab_two_lans
         COMMAND "${CMAKE_CURRENT_LIST_DIR}/lab/two_lans.sh" "$<TARGET_FILE:patchbay>" "${PROJECT_SOURCE_DIR}/examples")
set_tests_properties(lab_two_lans PROPERTIES LABELS integration TIMEOUT 300 SKIP_RETURN_CODE 77)

add_test(NAME lab_ethdev COMMAND "${CMAKE_CURRENT_LIST_DIR}/lab/ethdev.sh" "$<TARGET_FILE:patchbay>")
set_tests_properties(lab_ethdev PROPERTIES LABELS integration TIMEOUT 120 SKIP_RETURN_CODE 77)

add_test(NAME lab_bench
         COMMAND "${CMAKE_CURRENT_LIST_DIR}/lab/bench.sh" "$<TARGET_FILE:patchbay>" "${PROJECT_SOURCE_DIR}/examples")
set_tests_properties(lab_bench PROPERTIES LABELS integration TIMEOUT 300 SKIP_RETURN_CODE 77)

add_test(NAME lab_scale
         COMMAND "${CMAKE_CURRENT_LIST_DIR}/lab/scale.sh" "$<TARGET_FILE:patchbay>" "${PROJECT_SOURCE_DIR}/tests/bench/scale/make_lab")
set_tests_properties(lab_scale PROPERTIES LABELS integration TIMEOUT 120 SKIP_RETURN_CODE 77)

add_test(NAME lab_external
         COMMAND "${CMAKE_CURRENT_LIST_DIR}/lab/external.sh" "$<TARGET_FILE:patchbay>" "${PROJECT_SOURCE_DIR}/examples")
set_tests_properties(lab_external PROPERTIES LABELS integration TIMEOUT 300 SKIP_RETURN_CODE 77)

add_test(NAME lab_netem
         COMMAND "${CMAKE_CURRENT_LIST_DIR}/lab/netem.sh" "$<TARGET_FILE:patchbay>" "${PROJECT_SOURCE_DIR}/examples")
set_tests_properties(lab_netem PROPERTIES LABELS integration TIMEOUT 300 SKIP_RETURN_CODE 77)

add_test(NAME lab_workers COMMAND "${CMAKE_CURRENT_LIST_DIR}/lab/workers.sh" "$<TARGET_FILE:patchbay>")
set_tests_properties(lab_workers PROPERTIES LABELS integration TIMEOUT 120 SKIP_RETURN_CODE 77)
