# paidonce_find_dependencies(<component> <variable> [GLOBAL])
#
# Searches what the component needs from others. The variable becomes empty, or a sentence that says what is
# missing and how to get it. Used by the build (where what is found must be visible to the whole project: GLOBAL)
# and by the installed package alike.
function(paidonce_find_dependencies component problem)
  set(${problem} "" PARENT_SCOPE)

  if(component STREQUAL "core")
    if(NOT TARGET Threads::Threads)
      set(THREADS_PREFER_PTHREAD_FLAG ON)
      find_package(Threads QUIET ${ARGN})
    endif()
    if(NOT TARGET Threads::Threads)
      set(${problem} "paidonce needs threads, and CMake's FindThreads finds none for this compiler." PARENT_SCOPE)
    endif()

  elseif(component STREQUAL "money")
    if(NOT TARGET Boost::headers)
      find_package(Boost 1.74 QUIET ${ARGN})
    endif()
    if(NOT TARGET Boost::headers)
      set(${problem} "paidonce's component money needs the headers of Boost 1.74 or newer (Boost.Multiprecision). \
Any of these brings them: the Debian package libboost-dev (apt-get install libboost-dev); vcpkg: the feature \
\"money\" of the port paidonce, or the port boost-multiprecision; Conan: the option paidonce/*:with_money=True, \
or the package boost; or set Boost_ROOT to where Boost is." PARENT_SCOPE)
    endif()

  elseif(component STREQUAL "json")
    if(NOT TARGET nlohmann_json::nlohmann_json)
      find_package(nlohmann_json 3.9 QUIET ${ARGN})
    endif()
    if(NOT TARGET nlohmann_json::nlohmann_json)
      set(${problem} "paidonce's component json needs nlohmann-json 3.9 or newer. Any of these brings it: the Debian \
package nlohmann-json3-dev (apt-get install nlohmann-json3-dev); vcpkg: the feature \"json\" of the port paidonce, \
or the port nlohmann-json; Conan: the option paidonce/*:with_json=True, or the package nlohmann_json; or set \
nlohmann_json_ROOT to where it is." PARENT_SCOPE)
    endif()

  elseif(component STREQUAL "httplib")
    if(NOT TARGET httplib::httplib)
      find_package(httplib CONFIG QUIET ${ARGN})
    endif()
    # Debian's is a compiled library, whose macros must be the same everywhere: pkg-config knows them.
    if(NOT TARGET httplib::httplib)
      find_package(PkgConfig QUIET)
      if(PkgConfig_FOUND)
        pkg_check_modules(paidonce_httplib QUIET IMPORTED_TARGET ${ARGN} cpp-httplib>=0.11)
      endif()
      if(TARGET PkgConfig::paidonce_httplib)
        add_library(httplib::httplib ALIAS PkgConfig::paidonce_httplib)
      endif()
    endif()
    if(NOT TARGET httplib::httplib)
      set(${problem} "paidonce's component httplib needs cpp-httplib 0.11 or newer. Any of these brings it: the Debian \
packages libcpp-httplib-dev, libssl-dev and pkg-config (apt-get install libcpp-httplib-dev libssl-dev pkg-config); vcpkg: \
the feature \"httplib\" of the port paidonce, or the port cpp-httplib; Conan: the option paidonce/*:with_httplib=True, or \
the package cpp-httplib; or set httplib_ROOT to where it is." PARENT_SCOPE)
    endif()

  elseif(component STREQUAL "sqlite")
    if(NOT TARGET SQLite::SQLite3 AND NOT TARGET SQLite3::SQLite3)
      find_package(SQLite3 3.35 QUIET ${ARGN})
    endif()
    # CMake 4.3 calls the target SQLite3::SQLite3, and others did before: an installation by one is read by the other.
    if(NOT TARGET SQLite::SQLite3 AND TARGET SQLite3::SQLite3)
      add_library(SQLite::SQLite3 ALIAS SQLite3::SQLite3)
    elseif(NOT TARGET SQLite3::SQLite3 AND TARGET SQLite::SQLite3)
      add_library(SQLite3::SQLite3 ALIAS SQLite::SQLite3)
    endif()
    if(NOT TARGET SQLite::SQLite3)
      set(${problem} "paidonce's component sqlite needs SQLite 3.35 or newer. Any of these brings it: the Debian package \
libsqlite3-dev (apt-get install libsqlite3-dev); vcpkg: the feature \"sqlite\" of the port paidonce, or the port \
sqlite3; Conan: the option paidonce/*:with_sqlite=True, or the package sqlite3; or set SQLite3_ROOT to where it is." PARENT_SCOPE)
    endif()

  elseif(component STREQUAL "postgres")
    if(NOT TARGET PostgreSQL::PostgreSQL)
      find_package(PostgreSQL 14 QUIET ${ARGN})
    endif()
    if(NOT TARGET PostgreSQL::PostgreSQL)
      set(${problem} "paidonce's component postgres needs libpq 14 or newer, PostgreSQL's client library. Any of these \
brings it: the Debian package libpq-dev (apt-get install libpq-dev); vcpkg: the feature \"postgres\" of the port \
paidonce, or the port libpq; Conan: the option paidonce/*:with_postgres=True, or the package libpq; or set \
PostgreSQL_ROOT to where it is." PARENT_SCOPE)
    endif()

  elseif(component STREQUAL "redis")
    # Debian's configuration of hiredis makes no target: pkg-config knows the same.
    if(NOT TARGET hiredis::hiredis)
      find_package(hiredis CONFIG QUIET ${ARGN})
    endif()
    if(NOT TARGET hiredis::hiredis)
      find_package(PkgConfig QUIET)
      if(PkgConfig_FOUND)
        pkg_check_modules(paidonce_hiredis QUIET IMPORTED_TARGET ${ARGN} hiredis>=0.14)
      endif()
      if(TARGET PkgConfig::paidonce_hiredis)
        # How hiredis was compiled (-D_FILE_OFFSET_BITS=64) is nothing that who includes it has to follow.
        set_property(TARGET PkgConfig::paidonce_hiredis PROPERTY INTERFACE_COMPILE_OPTIONS "")
        add_library(hiredis::hiredis ALIAS PkgConfig::paidonce_hiredis)
      endif()
    endif()
    if(NOT TARGET hiredis::hiredis)
      set(${problem} "paidonce's component redis needs hiredis 0.14 or newer. Any of these brings it: the Debian packages \
libhiredis-dev and pkg-config (apt-get install libhiredis-dev pkg-config); vcpkg: the feature \"redis\" of the port \
paidonce, or the port hiredis; Conan: the option paidonce/*:with_redis=True, or the package hiredis; or set hiredis_ROOT \
to where it is." PARENT_SCOPE)
    endif()

  elseif(component STREQUAL "rabbitmq")
    if(NOT TARGET rabbitmq::rabbitmq)
      find_package(rabbitmq-c CONFIG QUIET ${ARGN})
    endif()
    # A library that was built to be linked statically only has another name.
    if(NOT TARGET rabbitmq::rabbitmq AND TARGET rabbitmq::rabbitmq-static)
      add_library(rabbitmq::rabbitmq ALIAS rabbitmq::rabbitmq-static)
    endif()
    if(NOT TARGET rabbitmq::rabbitmq)
      set(${problem} "paidonce's component rabbitmq needs rabbitmq-c 0.11 or newer (librabbitmq). Any of these brings it: \
the Debian package librabbitmq-dev (apt-get install librabbitmq-dev); vcpkg: the feature \"rabbitmq\" of the port \
paidonce, or the port librabbitmq; Conan: the option paidonce/*:with_rabbitmq=True, or the package rabbitmq-c; or set \
rabbitmq-c_ROOT to where it is." PARENT_SCOPE)
    endif()

  elseif(component MATCHES "^orders")
    set(needed money)
    string(REGEX MATCH "^orders_(.+)$" store "${component}")
    if(store)
      list(APPEND needed ${CMAKE_MATCH_1})
    endif()
    foreach(each IN LISTS needed)
      paidonce_find_dependencies(${each} missing ${ARGN})
      if(NOT missing STREQUAL "")
        set(${problem} "${missing}" PARENT_SCOPE)
        return()
      endif()
    endforeach()
  endif()
endfunction()
