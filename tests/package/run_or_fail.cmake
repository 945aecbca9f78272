# run(<command>...): runs it and stops with everything it printed when it fails; else sets `output`.
function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE status OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT status EQUAL 0)
    list(JOIN ARGV " " command)
    string(REPLACE "\n" "\n  " text "  ${text}")  # indented text is not wrapped
    message(FATAL_ERROR "  ${command}\n  failed (${status}):\n${text}")
  endif()
  string(STRIP "${text}" text)
  set(output "${text}" PARENT_SCOPE)
endfunction()

# expect_output(<text>): what the last run printed.
function(expect_output expected)
  if(NOT output STREQUAL expected)
    message(FATAL_ERROR "printed \"${output}\" instead of \"${expected}\"")
  endif()
endfunction()
