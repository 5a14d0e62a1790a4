"""A small client of libpq, and what the kernel knows of the backend at its other end."""
import ctypes
import os
import threading
import time

_libpq = ctypes.CDLL(os.environ.get("LIBPQ", "libpq.so.5"))
_libpq.PQconnectdb.restype = ctypes.c_void_p
_libpq.PQexecParams.restype = _libpq.PQprepare.restype = _libpq.PQexecPrepared.restype = ctypes.c_void_p
_libpq.PQgetvalue.restype = _libpq.PQerrorMessage.restype = ctypes.c_char_p
_COMMAND_OK, _TUPLES_OK = 1, 2


class Connection:
    def __init__(self, database):
        self._handle = ctypes.c_void_p(_libpq.PQconnectdb(f"dbname={database}".encode()))
        if _libpq.PQstatus(self._handle) != 0:
            raise RuntimeError(_libpq.PQerrorMessage(self._handle).decode())
        self.pid = _libpq.PQbackendPID(self._handle)

    def close(self):
        _libpq.PQfinish(self._handle)

    def _take(self, result):
        result = ctypes.c_void_p(result)
        try:
            if _libpq.PQresultStatus(result) not in (_COMMAND_OK, _TUPLES_OK):
                raise RuntimeError(_libpq.PQerrorMessage(self._handle).decode())
            columns = range(_libpq.PQnfields(result))
            return [tuple(None if _libpq.PQgetisnull(result, row, column) else _libpq.PQgetvalue(result, row, column).decode()
                          for column in columns) for row in range(_libpq.PQntuples(result))]
        finally:
            _libpq.PQclear(result)

    def execute(self, sql, *parameters):
        """The rows, every value as text."""
        values = (ctypes.c_char_p * len(parameters))(*(None if p is None else str(p).encode() for p in parameters))
        return self._take(_libpq.PQexecParams(self._handle, sql.encode(), len(parameters), None, values, None, None, 0))

    def value(self, sql, *parameters):
        return self.execute(sql, *parameters)[0][0]

    def prepare(self, name, sql):
        self._take(_libpq.PQprepare(self._handle, name.encode(), sql.encode(), 0, None))

    def run(self, name, ids):
        """Executes a prepared statement, once for each id, each in a transaction of its own."""
        name = name.encode()
        value = (ctypes.c_char_p * 1)()
        for id_ in ids:
            value[0] = b"%d" % id_
            result = ctypes.c_void_p(_libpq.PQexecPrepared(self._handle, name, 1, value, None, None, 0))
            if _libpq.PQresultStatus(result) not in (_COMMAND_OK, _TUPLES_OK):
                raise RuntimeError(_libpq.PQerrorMessage(self._handle).decode())
            _libpq.PQclear(result)

    def cpu(self):
        """CPU time that the backend has used, in microseconds. It must be idle: the kernel counts when it goes to sleep."""
        time.sleep(0.002)
        with open(f"/proc/{self.pid}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[0]) / 1000

    def memory(self):
        """Memory of the backend's own, in kB: neither shared buffers nor files."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("RssAnon:"))


def run_side_by_side(connections, name, ids):
    """Shares the executions out to the connections. Returns CPU time of the backends and wall time, in us for each."""
    before = sum(connection.cpu() for connection in connections)
    shares = [ids[i::len(connections)] for i in range(len(connections))]
    errors = []

    def work(connection, share):
        try:
            connection.run(name, share)
        except RuntimeError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(connections, shares)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = (time.perf_counter() - began) * 1e6
    if errors:
        raise errors[0]
    cpu = sum(connection.cpu() for connection in connections) - before
    return cpu / len(ids), wall / len(ids)
