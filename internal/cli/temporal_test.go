package cli

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"

	"github.com/tenderline/tenderline/workflows"
)

// temporal is as much of a Temporal service as starting and checking a process needs: it knows search attributes, has no run, and gives
// workers nothing to do.
type temporal struct {
	workflowservice.UnimplementedWorkflowServiceServer
	address string

	mutex      sync.Mutex
	attributes map[string]enums.IndexedValueType
	schedules  map[string]*schedulepb.Schedule
	signals    int
	polled     map[string]float64 // queues that steps are asked for, with their limit per second
	forbidden  bool               // writing is
	nameless   bool               // the namespace does not exist
}

func newTemporal(t *testing.T) *temporal {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &temporal{address: listener.Addr().String(), attributes: map[string]enums.IndexedValueType{}, schedules: map[string]*schedulepb.Schedule{}, polled: map[string]float64{}}
	server := grpc.NewServer(grpc.ChainUnaryInterceptor(func(ctx context.Context, in any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		out, err := next(ctx, in)
		if err != nil {
			err = serviceerror.ToStatus(err).Err()
		}
		return out, err
	}))
	workflowservice.RegisterWorkflowServiceServer(server, s)
	operatorservice.RegisterOperatorServiceServer(server, &operator{temporal: s})
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Stop(); <-done })
	return s
}

// setUp makes it know what `tenderline setup` would register.
func (s *temporal) setUp() *temporal {
	for _, key := range workflows.SearchAttributes() {
		s.attributes[key.GetName()] = key.GetValueType()
	}
	return s
}

func (s *temporal) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	return &workflowservice.GetSystemInfoResponse{ServerVersion: "1.32.0", Capabilities: &workflowservice.GetSystemInfoResponse_Capabilities{}}, nil
}

func (s *temporal) DescribeNamespace(context.Context, *workflowservice.DescribeNamespaceRequest) (*workflowservice.DescribeNamespaceResponse, error) {
	return &workflowservice.DescribeNamespaceResponse{}, nil
}

func (s *temporal) CountWorkflowExecutions(context.Context, *workflowservice.CountWorkflowExecutionsRequest) (*workflowservice.CountWorkflowExecutionsResponse, error) {
	return &workflowservice.CountWorkflowExecutionsResponse{}, nil
}

func (s *temporal) SignalWorkflowExecution(context.Context, *workflowservice.SignalWorkflowExecutionRequest) (*workflowservice.SignalWorkflowExecutionResponse, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.forbidden {
		return nil, serviceerror.NewPermissionDenied("no right to write", "")
	}
	s.signals++
	return nil, serviceerror.NewNotFound("no such workflow")
}

func (s *temporal) PollWorkflowTaskQueue(ctx context.Context, _ *workflowservice.PollWorkflowTaskQueueRequest) (*workflowservice.PollWorkflowTaskQueueResponse, error) {
	<-ctx.Done()
	return &workflowservice.PollWorkflowTaskQueueResponse{}, nil
}

func (s *temporal) PollActivityTaskQueue(ctx context.Context, in *workflowservice.PollActivityTaskQueueRequest) (*workflowservice.PollActivityTaskQueueResponse, error) {
	s.mutex.Lock()
	s.polled[in.GetTaskQueue().GetName()] = in.GetTaskQueueMetadata().GetMaxTasksPerSecond().GetValue()
	s.mutex.Unlock()
	<-ctx.Done()
	return &workflowservice.PollActivityTaskQueueResponse{}, nil
}

func (s *temporal) CreateSchedule(_ context.Context, in *workflowservice.CreateScheduleRequest) (*workflowservice.CreateScheduleResponse, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.schedules[in.GetScheduleId()] != nil {
		return nil, serviceerror.NewWorkflowExecutionAlreadyStarted("schedule is there", "", "")
	}
	s.schedules[in.GetScheduleId()] = in.GetSchedule()
	return &workflowservice.CreateScheduleResponse{}, nil
}

func (s *temporal) DescribeSchedule(_ context.Context, in *workflowservice.DescribeScheduleRequest) (*workflowservice.DescribeScheduleResponse, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	schedule := s.schedules[in.GetScheduleId()]
	if schedule == nil {
		return nil, serviceerror.NewNotFound("no such schedule")
	}
	return &workflowservice.DescribeScheduleResponse{Schedule: schedule, Info: &schedulepb.ScheduleInfo{}}, nil
}

func (s *temporal) UpdateSchedule(_ context.Context, in *workflowservice.UpdateScheduleRequest) (*workflowservice.UpdateScheduleResponse, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.schedules[in.GetScheduleId()] = in.GetSchedule()
	return &workflowservice.UpdateScheduleResponse{}, nil
}

func (s *temporal) DeleteSchedule(_ context.Context, in *workflowservice.DeleteScheduleRequest) (*workflowservice.DeleteScheduleResponse, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.schedules, in.GetScheduleId())
	return &workflowservice.DeleteScheduleResponse{}, nil
}

func (s *temporal) ListSchedules(context.Context, *workflowservice.ListSchedulesRequest) (*workflowservice.ListSchedulesResponse, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	list := &workflowservice.ListSchedulesResponse{}
	for id := range s.schedules {
		list.Schedules = append(list.Schedules, &schedulepb.ScheduleListEntry{ScheduleId: id, Info: &schedulepb.ScheduleListInfo{Spec: &schedulepb.ScheduleSpec{}}})
	}
	return list, nil
}

type operator struct {
	operatorservice.UnimplementedOperatorServiceServer
	*temporal
}

func (o *operator) ListSearchAttributes(context.Context, *operatorservice.ListSearchAttributesRequest) (*operatorservice.ListSearchAttributesResponse, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if o.nameless {
		return nil, serviceerror.NewNamespaceNotFound("default")
	}
	known := map[string]enums.IndexedValueType{}
	for name, kind := range o.attributes {
		known[name] = kind
	}
	return &operatorservice.ListSearchAttributesResponse{CustomAttributes: known}, nil
}

func (o *operator) AddSearchAttributes(_ context.Context, in *operatorservice.AddSearchAttributesRequest) (*operatorservice.AddSearchAttributesResponse, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	for name, kind := range in.GetSearchAttributes() {
		o.attributes[name] = kind
	}
	return &operatorservice.AddSearchAttributesResponse{}, nil
}
