# cmake -DCOMPILER=<g++> -DNM=<nm> -DOBJDUMP=<objdump> -DINCLUDE=<dir> -DSOURCE=<file> -DDIRECTORY=<dir> -P no_observer.cmake
#
# A guard without an observer, whose source includes all of them, has no symbol of theirs and does not read the clock
# more often than its lease needs. That this would be seen is told by a guard with one: it has both.
cmake_minimum_required(VERSION 3.25)
file(MAKE_DIRECTORY "${DIRECTORY}")

# look_at(<observer> <symbols> <readings>): how much of observers, and how many readings of the clock, are in the code.
function(look_at observer symbols readings)
  set(object "${DIRECTORY}/no_observer.o")
  execute_process(COMMAND "${COMPILER}" -std=c++20 -O2 "-I${INCLUDE}" "-DOBSERVER=${observer}" -c "${SOURCE}" -o "${object}"
    RESULT_VARIABLE status ERROR_VARIABLE text)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "with ${observer} it does not compile:\n${text}")
  endif()
  execute_process(COMMAND "${NM}" -C "${object}" OUTPUT_VARIABLE names COMMAND_ERROR_IS_FATAL ANY)
  if(NOT names MATCHES "IdempotencyGuard<")
    message(FATAL_ERROR "there is no guard in the code")
  endif()
  string(REGEX MATCHALL "(Metric|Latency|Observers)" found "${names}")
  list(LENGTH found count)
  set(${symbols} "${count}" PARENT_SCOPE)
  execute_process(COMMAND "${OBJDUMP}" -dr "${object}" OUTPUT_VARIABLE code COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "R_[A-Z0-9_]+[ \t]+clock_gettime" found "${code}")
  list(LENGTH found count)
  set(${readings} "${count}" PARENT_SCOPE)
endfunction()

look_at("NoObserver" symbols readings)
look_at("Metrics&" symbols_of_one readings_of_one)
set(said "${symbols} symbols of observers and ${readings} readings of the clock; with Metrics: ${symbols_of_one} and ${readings_of_one}")
message(STATUS "${said}")
if(NOT symbols EQUAL 0 OR NOT symbols_of_one GREATER 0 OR NOT readings GREATER 0 OR NOT readings_of_one GREATER readings)
  message(FATAL_ERROR "${said}")
endif()
