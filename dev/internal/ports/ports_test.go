package ports

import (
	"net"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckNamesTheBusyPortAndItsHolder(t *testing.T) {
	listener := listen(t)
	addr := listener.Addr().String()

	err := Check(addr)

	var busy *BusyError
	require.ErrorAs(t, err, &busy)
	require.Equal(t, addr, busy.Addr)
	require.ErrorContains(t, err, addr)
	if runtime.GOOS == "linux" {
		require.Equal(t, os.Getpid(), busy.Holder.PID)
		require.NotEmpty(t, busy.Holder.Name)
		require.ErrorContains(t, err, "pid "+strconv.Itoa(os.Getpid()))
	}
}

func TestCheckAllowsAFreePortAndLeavesItFree(t *testing.T) {
	listener := listen(t)
	addr := listener.Addr().String()
	require.NoError(t, listener.Close())

	require.NoError(t, Check(addr))
	require.NoError(t, Check(addr))
}

func TestCheckTellsABadAddressFromABusyOne(t *testing.T) {
	for _, addr := range []string{"127.0.0.1", "127.0.0.1:notaport", "192.0.2.1:80"} {
		err := Check(addr)
		var busy *BusyError
		require.Error(t, err, addr)
		require.NotErrorAs(t, err, &busy, addr)
	}
}

func TestCheckAllNamesEveryBusyPort(t *testing.T) {
	one, two := listen(t).Addr().String(), listen(t).Addr().String()
	free, err := Free("127.0.0.1", 1)
	require.NoError(t, err)
	spare := net.JoinHostPort("127.0.0.1", strconv.Itoa(free[0]))

	require.NoError(t, CheckAll(spare))
	err = CheckAll(one, spare, two)
	require.ErrorContains(t, err, one)
	require.ErrorContains(t, err, two)
	require.NotContains(t, err.Error(), spare)
	var busy *BusyError
	require.ErrorAs(t, err, &busy)
}

func TestFreeGivesDistinctPortsThatCanBeBound(t *testing.T) {
	free, err := Free("127.0.0.1", 20)
	require.NoError(t, err)
	require.Len(t, free, 20)

	seen := map[int]bool{}
	for _, port := range free {
		require.False(t, seen[port], "port %d given twice", port)
		seen[port] = true
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		require.NoError(t, err)
		require.NoError(t, listener.Close())
	}
}

func TestFreeRefusesAHostThatIsNotHere(t *testing.T) {
	_, err := Free("192.0.2.1", 1)
	require.ErrorContains(t, err, "192.0.2.1")
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

func TestBusyErrorWithoutAHolder(t *testing.T) {
	err := &BusyError{Addr: "127.0.0.1:7233"}
	require.Equal(t, "port 127.0.0.1:7233 is in use", err.Error())
	require.NotContains(t, err.Error(), "pid")
}
