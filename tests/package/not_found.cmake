# What find_package of the moved installation says when it cannot give what is asked.
cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/run_or_fail.cmake")

# expect_failure(<name> <arguments of find_package> <definition>... SAYS <text>...)
function(expect_failure name request)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "SAYS")
  set(build "${WORK}/not_found_${name}")
  file(REMOVE_RECURSE "${build}")
  execute_process(COMMAND "${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/not_found" -B "${build}"
    "-DREQUEST=${request}" "-DCMAKE_PREFIX_PATH=${WORK}/moved" "-DCMAKE_CXX_COMPILER=${COMPILER}"
    ${arg_UNPARSED_ARGUMENTS} RESULT_VARIABLE status OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT arg_SAYS)
    if(NOT status EQUAL 0)
      message(FATAL_ERROR "find_package(paidonce ${request}) fails:\n${text}")
    endif()
    return()
  endif()
  if(status EQUAL 0)
    message(FATAL_ERROR "find_package(paidonce ${request}) succeeds and should not")
  endif()
  string(REGEX REPLACE "[ \n]+" " " text "${text}")
  foreach(part IN LISTS arg_SAYS)
    string(FIND "${text}" "${part}" position)
    if(position EQUAL -1)
      message(FATAL_ERROR "find_package(paidonce ${request}) does not say \"${part}\", but:\n${text}")
    endif()
  endforeach()
endfunction()

set(without_boost -DCMAKE_DISABLE_FIND_PACKAGE_Boost=ON)
set(without_json -DCMAKE_DISABLE_FIND_PACKAGE_nlohmann_json=ON)
set(without_sqlite -DCMAKE_DISABLE_FIND_PACKAGE_SQLite3=ON)
set(without_postgres -DCMAKE_DISABLE_FIND_PACKAGE_PostgreSQL=ON)
set(without_redis -DCMAKE_DISABLE_FIND_PACKAGE_hiredis=ON -DCMAKE_DISABLE_FIND_PACKAGE_PkgConfig=ON)
set(without_rabbitmq -DCMAKE_DISABLE_FIND_PACKAGE_rabbitmq-c=ON)
set(without_httplib -DCMAKE_DISABLE_FIND_PACKAGE_httplib=ON -DCMAKE_DISABLE_FIND_PACKAGE_PkgConfig=ON)

expect_failure(money "REQUIRED|COMPONENTS|money" ${without_boost}
  SAYS "libboost-dev" "vcpkg: the feature \"money\"" "with_money=True" "Boost_ROOT")
expect_failure(json "REQUIRED|COMPONENTS|json" ${without_json}
  SAYS "nlohmann-json3-dev" "vcpkg: the feature \"json\"" "with_json=True" "nlohmann_json_ROOT")
expect_failure(sqlite "REQUIRED|COMPONENTS|sqlite" ${without_sqlite}
  SAYS "libsqlite3-dev" "vcpkg: the feature \"sqlite\"" "with_sqlite=True" "SQLite3_ROOT")
expect_failure(postgres "REQUIRED|COMPONENTS|postgres" ${without_postgres}
  SAYS "libpq-dev" "vcpkg: the feature \"postgres\"" "with_postgres=True" "PostgreSQL_ROOT")
expect_failure(redis "REQUIRED|COMPONENTS|redis" ${without_redis}
  SAYS "libhiredis-dev" "vcpkg: the feature \"redis\"" "with_redis=True" "hiredis_ROOT")
expect_failure(rabbitmq "REQUIRED|COMPONENTS|rabbitmq" ${without_rabbitmq}
  SAYS "librabbitmq-dev" "vcpkg: the feature \"rabbitmq\"" "with_rabbitmq=True" "rabbitmq-c_ROOT")
expect_failure(httplib "REQUIRED|COMPONENTS|httplib" ${without_httplib}
  SAYS "libcpp-httplib-dev" "vcpkg: the feature \"httplib\"" "with_httplib=True" "httplib_ROOT")
# What is there and too old is as good as missing.
file(WRITE "${WORK}/not_found_old/sqlite3.h" "#define SQLITE_VERSION        \"3.34.1\"\n")
file(WRITE "${WORK}/not_found_old/pg_config.h" "#define PG_VERSION \"13.9\"\n")
expect_failure(old_sqlite "REQUIRED|COMPONENTS|sqlite" "-DSQLite3_INCLUDE_DIR=${WORK}/not_found_old"
  SAYS "SQLite 3.35 or newer")
expect_failure(old_postgres "REQUIRED|COMPONENTS|postgres" "-DPostgreSQL_INCLUDE_DIR=${WORK}/not_found_old"
  SAYS "libpq 14 or newer")
expect_failure(orders "REQUIRED|COMPONENTS|orders" ${without_boost} SAYS "libboost-dev")
expect_failure(orders_sqlite "REQUIRED|COMPONENTS|orders_sqlite" ${without_sqlite} SAYS "libsqlite3-dev")
expect_failure(orders_postgres "REQUIRED|COMPONENTS|orders_postgres" ${without_boost} SAYS "libboost-dev")
expect_failure(unknown "REQUIRED|COMPONENTS|monney"
  SAYS "no component \"monney\"" "core, money, json, httplib, sqlite, postgres, redis, rabbitmq, orders, orders_sqlite, orders_postgres, testing")
expect_failure(newer "0.2|REQUIRED" SAYS "0.1.0")

# And what works: the core without anything, an optional component that is missing, an older patch of the same minor;
# a component alone, which brings what it builds on; SQLite under its new name.
set(without_all ${without_boost} ${without_json} ${without_sqlite} ${without_postgres} ${without_redis}
  ${without_rabbitmq} ${without_httplib})
expect_failure(core "REQUIRED" ${without_all})
expect_failure(core_by_name "REQUIRED|COMPONENTS|core" ${without_all})
expect_failure(optional "REQUIRED|OPTIONAL_COMPONENTS|money|orders_sqlite" ${without_boost})
expect_failure(alone "REQUIRED|COMPONENTS|orders_sqlite" ${without_json} ${without_postgres}
  "-DLINK=paidonce::orders_sqlite")
expect_failure(redis_alone "REQUIRED|COMPONENTS|redis" ${without_postgres} ${without_rabbitmq} "-DLINK=paidonce::redis")
expect_failure(newer_cmake "REQUIRED|COMPONENTS|sqlite" "-DMODULES=newer_cmake" "-DLINK=paidonce::sqlite")
expect_failure(same_minor "0.1|REQUIRED")
