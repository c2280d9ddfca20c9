package stack_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/dev/internal/stack"
)

func TestStackTakesOrders(t *testing.T) {
	ports, err := stack.FreePorts()
	require.NoError(t, err)
	s, err := stack.Start(t.Context(), stack.Options{TempDir: t.TempDir(), Ports: ports, NoUI: true})
	require.NoError(t, err)
	require.NoError(t, s.Stop())
}
