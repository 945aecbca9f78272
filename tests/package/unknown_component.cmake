# What add_subdirectory says when PAIDONCE_COMPONENTS names a part that does not exist.
cmake_minimum_required(VERSION 3.25)

set(build "${WORK}/unknown_component")
file(REMOVE_RECURSE "${build}")
execute_process(COMMAND "${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/consumer" -B "${build}" -DHOW=subdirectory
  "-DPAIDONCE_SOURCE=${SOURCE}" "-DCOMPONENTS=monney" "-DEVERY=${WORK}/every" "-DCMAKE_CXX_COMPILER=${COMPILER}"
  RESULT_VARIABLE status OUTPUT_VARIABLE text ERROR_VARIABLE text)
if(status EQUAL 0)
  message(FATAL_ERROR "a misspelt component is configured without a word")
endif()
string(REGEX REPLACE "[ \n]+" " " text "${text}")
set(said "paidonce has no component \"monney\"; it has: core, money, json, httplib, sqlite, postgres, redis, rabbitmq, orders, orders_sqlite, orders_postgres, testing.")
string(FIND "${text}" "${said}" position)
if(position EQUAL -1)
  message(FATAL_ERROR "it does not say \"${said}\", but:\n${text}")
endif()
