# cmake -DCOMPILER=<c++> -DINCLUDES=<dir>[|<dir>...] -DSOURCE=<file> -P compile_fail.cmake
#
# The file must not compile, and what the compiler says must hold the text of each of its lines "// expect: <text>".
# A file that names FIXED is compiled once more with -DFIXED and must then compile: it fails for the one reason it is
# about, and for no other.
cmake_minimum_required(VERSION 3.25)

string(REPLACE "|" ";" INCLUDES "${INCLUDES}")
list(TRANSFORM INCLUDES PREPEND "-I")
set(compile "${CMAKE_COMMAND}" -E env LC_ALL=C "${COMPILER}" -std=c++20 -pthread -fsyntax-only -fmessage-length=0
  ${INCLUDES})

file(READ "${SOURCE}" text)
string(REGEX MATCHALL "// expect: [^\n]+" expectations "${text}")
if(NOT expectations)
  message(FATAL_ERROR "${SOURCE} has no line \"// expect: <text>\"")
endif()

execute_process(COMMAND ${compile} "${SOURCE}" RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(status EQUAL 0)
  message(FATAL_ERROR "${SOURCE} compiles, and must not")
endif()
foreach(expectation IN LISTS expectations)
  string(REPLACE "// expect: " "" expectation "${expectation}")
  string(STRIP "${expectation}" expectation)
  string(FIND "${output}" "${expectation}" position)
  if(position EQUAL -1)
    message(FATAL_ERROR "the compiler does not say \"${expectation}\" about ${SOURCE}, but:\n${output}")
  endif()
endforeach()

if(text MATCHES "FIXED")
  execute_process(COMMAND ${compile} -DFIXED "${SOURCE}" RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${SOURCE} must compile with -DFIXED, but:\n${output}")
  endif()
endif()
