package workflows_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/tenderline/tenderline/worker"
)

const mismatch = `%s does not replay.

Orders that run right now were started by released code, and their histories look like this one. On this build such a run can't go on: its
workflow tasks fail again and again, it neither captures, books, compensates nor answers a decision, until the code is put right.
Put the change behind a named version predicate (workflow.GetVersion), so that runs from before take the old way. Never record the fixture
anew to make this pass: that only hides it. New fixtures are added for new ends, from released code:
	go -C dev test ./e2e -run TestRecordHistories -record

%v`

// replay runs a history through today's code, as the run of that ID; "" is the run that it was.
func replay(t *testing.T, recorded []byte, runID string) error {
	t.Helper()
	history, err := client.HistoryFromJSON(bytes.NewReader(recorded), client.HistoryJSONOptions{})
	require.NoError(t, err)
	started := history.GetEvents()[0].GetWorkflowExecutionStartedEventAttributes()
	if runID == "" {
		runID = started.GetOriginalExecutionRunId()
	}
	// A workflow that never yields ends with the test; a busy machine is no reason to fail.
	replayer, err := sdkworker.NewWorkflowReplayerWithOptions(sdkworker.WorkflowReplayerOptions{DisableDeadlockDetection: true})
	require.NoError(t, err)
	worker.Register(replayer)
	return replayer.ReplayWorkflowHistoryWithOptions(nil, history, sdkworker.ReplayWorkflowHistoryOptions{
		OriginalExecution: workflow.Execution{ID: started.GetWorkflowId(), RunID: runID},
	})
}

// TestHistoriesReplay replays the recorded history of every end with today's code, as its own run and as the new run that a reset makes.
func TestHistoriesReplay(t *testing.T) {
	files, err := filepath.Glob("testdata/replay/*.json")
	require.NoError(t, err)
	seen := map[string]int{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		process, _, _ := strings.Cut(name, "_")
		seen[process]++
		recorded, err := os.ReadFile(file)
		require.NoError(t, err)
		for way, runID := range map[string]string{"as it ran": "", "after a reset": "01a00000-0000-7000-8000-000000000001"} {
			t.Run(name+"/"+way, func(t *testing.T) {
				if err := replay(t, recorded, runID); err != nil {
					t.Fatalf(mismatch, file, err)
				}
			})
		}
	}
	for process, ends := range map[string]int{"OrderToCash": 20, "FraudReview": 6, "LateReject": 2, "Refund": 6, "Callback": 7} {
		require.GreaterOrEqual(t, seen[process], ends, "recorded ends of %s are missing", process)
	}
}

// TestReplaySeesAChange: a history of other code than today's is refused, or the test above would show nothing.
func TestReplaySeesAChange(t *testing.T) {
	recorded, err := os.ReadFile("testdata/replay/OrderToCash_confirmed_sale.json")
	require.NoError(t, err)
	changed := bytes.ReplaceAll(recorded, []byte(`"CreateSalesOrder"`), []byte(`"CreateOrder"`))
	require.NotEqual(t, recorded, changed)
	require.ErrorContains(t, replay(t, changed, ""), "CreateOrder")
}
