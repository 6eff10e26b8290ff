# The guest's agent and the engine's end of it, without a virtual machine.
if(TARGET patchbay-agent)
  add_executable(agent_test "${CMAKE_CURRENT_LIST_DIR}/agent/agent_test.cpp")
  target_link_libraries(agent_test PRIVATE patchbay_options patchbay_engine GTest::gmock GTest::gtest_main)
  target_compile_definitions(agent_test PRIVATE PATCHBAY_AGENT="$<TARGET_FILE:patchbay-agent>")
  add_dependencies(agent_test patchbay-agent)
  add_test(NAME agent_test COMMAND agent_test)
  set_tests_properties(agent_test PROPERTIES LABELS integration TIMEOUT 120)
endif()
