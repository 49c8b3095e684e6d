package wire

// Tags of operations.
const (
	ofExecutions = "executions"
	ofWorkers    = "workers"
	ofOperators  = "operators"
	ofLanes      = "lanes"
	ofFlows      = "flows"
	ofSignals    = "signals"
	ofStreams    = "streams"
	ofEvents     = "events"
	ofLimits     = "limits"
	ofSecrets    = "secrets"
	ofKeys       = "keys"
)

// summaries says in one line what an operation does.
var summaries = map[string]struct{ tag, summary string }{
	"create_key": {ofKeys, "Make an API key; its text is told once"},
	"rotate_key": {ofKeys, "Give an API key a new text; the old one may be good for a while"},
	"revoke_key": {ofKeys, "End an API key"},
	"verify_key": {ofKeys, "Tell whose the text of an API key is"},
	"list_keys":  {ofKeys, "List API keys, without what is secret"},

	"submit":          {ofExecutions, "Submit an execution; a repeat under its id or idempotency key finds the first"},
	"submit_many":     {ofExecutions, "Submit many executions, each on its own"},
	"describe":        {ofExecutions, "Tell all of an execution but its payload and result"},
	"result":          {ofExecutions, "Read how an execution ended, and its result"},
	"wait":            {ofExecutions, "Wait for the end of an execution, and read its result"},
	"list_attempts":   {ofExecutions, "List the attempts of an execution"},
	"cancel":          {ofExecutions, "End an execution that has not ended"},
	"set_tags":        {ofExecutions, "Add tags to an execution"},
	"list_executions": {ofExecutions, "List executions by lane, state, kind, tag and more"},
	"list_partition":  {ofExecutions, "List all executions of a partition"},
	"explain":         {ofExecutions, "Tell why an execution does not run, and what must happen for it to"},
	"list_steps":      {ofExecutions, "List the durable steps of an execution"},
	"ledger":          {ofExecutions, "Tell what an execution has consumed of its budgets"},

	"claim":               {ofWorkers, "Take executions to run, waiting for some if there are none"},
	"renew":               {ofWorkers, "Keep a lease: extend it to now and its time to live"},
	"renew_many":          {ofWorkers, "Keep many leases"},
	"update_progress":     {ofWorkers, "Report how far an execution is"},
	"complete":            {ofWorkers, "End an execution with success, and a result"},
	"fail":                {ofWorkers, "Report a failure; the policy decides whether another attempt follows"},
	"delay":               {ofWorkers, "Give a lease back until a later time; the same attempt goes on then"},
	"release":             {ofWorkers, "Give a lease back at once; the same attempt goes on with the next claim"},
	"wait_children":       {ofWorkers, "Give a lease back until children of the execution have ended"},
	"suspend":             {ofWorkers, "Give a lease back until signals come, or a deadline"},
	"record_step":         {ofWorkers, "Keep the result of a step, for later attempts to find"},
	"append_frames":       {ofWorkers, "Append frames to the output of an attempt"},
	"report_usage":        {ofWorkers, "Report what an execution consumed"},
	"seal_handle":         {ofWorkers, "Make a text of what was claimed, to hand it to another process"},
	"open_handle":         {ofWorkers, "Read a sealed handle"},
	"register_worker":     {ofWorkers, "Tell of a worker process"},
	"heartbeat_worker":    {ofWorkers, "Tell that a worker process is alive"},
	"mark_worker_dead":    {ofWorkers, "Tell that a worker process is no more"},
	"list_workers":        {ofWorkers, "List worker processes"},
	"list_expired_leases": {ofWorkers, "List leases that ran out and were not taken back yet"},

	"change_priority": {ofOperators, "Change the priority of an execution that waits to be claimed"},
	"replay":          {ofOperators, "Run an execution again that has ended"},
	"revoke_lease":    {ofOperators, "Take a lease away from its holder"},
	"claim_execution": {ofOperators, "Claim one execution by its id"},
	"block":           {ofOperators, "Keep a waiting execution from being claimed"},
	"unblock":         {ofOperators, "Let a blocked execution be claimed again"},
	"resume":          {ofOperators, "Resume a suspended execution without the signals it waits for"},

	"update_lane": {ofLanes, "Make or change a lane: weight, state, limits"},
	"lane":        {ofLanes, "Tell of a lane"},
	"list_lanes":  {ofLanes, "List lanes"},
	"lane_counts": {ofLanes, "Count the executions of a lane by state"},

	"submit_flow":        {ofFlows, "Submit a whole flow, all of it or nothing"},
	"create_flow":        {ofFlows, "Make an empty flow"},
	"add_member":         {ofFlows, "Make an execution a member of a flow"},
	"stage_edge":         {ofFlows, "Record a dependency between two members"},
	"apply_edge":         {ofFlows, "Make a staged dependency hold its downstream back"},
	"set_group_policy":   {ofFlows, "Say what decides over the dependencies of a member"},
	"set_flow_tags":      {ofFlows, "Add tags to a flow"},
	"cancel_flow":        {ofFlows, "End a flow and its members, and wait for that if wanted"},
	"cancel_flow_header": {ofFlows, "Mark a flow as cancelled and read which members are to be cancelled"},
	"ack_cancel_member":  {ofFlows, "Tell that a member of a cancelled flow was dealt with"},
	"describe_flow":      {ofFlows, "Tell of a flow"},
	"flow_tags":          {ofFlows, "Read the tags of a flow"},
	"wait_flow":          {ofFlows, "Wait for the end of a flow"},
	"list_flows":         {ofFlows, "List flows"},
	"list_nodes":         {ofFlows, "List the members of a flow"},
	"list_edges":         {ofFlows, "List the dependencies of a flow"},
	"describe_edge":      {ofFlows, "Tell of a dependency"},
	"explain_flow":       {ofFlows, "Tell what holds a flow up"},

	"create_waitpoint":        {ofSignals, "Make a waitpoint before the execution suspends"},
	"close_waitpoint":         {ofSignals, "Close a waitpoint: it takes no more signals"},
	"deliver_signal":          {ofSignals, "Send a signal to a waitpoint; its token is the authority"},
	"approve":                 {ofSignals, "Decide on an execution that waits for approval"},
	"seal_link":               {ofSignals, "Make a link that sends a signal; the token of the waitpoint is the authority"},
	"signal_by_link":          {ofSignals, "Send the signal of a link; the link is the authority"},
	"describe_suspension":     {ofSignals, "Tell what a suspended execution waits for"},
	"describe_waitpoint":      {ofSignals, "Tell of a waitpoint and its signals"},
	"waitpoint_token":         {ofSignals, "Read the token of a waitpoint"},
	"resume_signals":          {ofSignals, "Read the signals that resumed an execution"},
	"list_pending_waitpoints": {ofSignals, "List the open waitpoints of an execution"},
	"list_suspended":          {ofSignals, "List suspended executions"},

	"read_stream":     {ofStreams, "Read frames of the output of an attempt"},
	"tail_stream":     {ofStreams, "Read the frames behind a place, waiting for some if there are none"},
	"describe_stream": {ofStreams, "Tell of the output of an attempt, without its frames"},
	"read_summary":    {ofStreams, "Read the document that summary frames have made"},

	"read_events":         {ofEvents, "Read events behind a cursor, waiting for some if there are none"},
	"ack_events":          {ofEvents, "Keep a cursor under a name"},
	"event_reader":        {ofEvents, "Read a kept cursor"},
	"list_event_readers":  {ofEvents, "List kept cursors"},
	"forget_event_reader": {ofEvents, "Forget a kept cursor"},

	"create_budget":   {ofLimits, "Make a budget"},
	"update_budget":   {ofLimits, "Change the limits of a budget"},
	"delete_budget":   {ofLimits, "Delete a budget"},
	"reset_budget":    {ofLimits, "Set the usage of a budget to nothing"},
	"describe_budget": {ofLimits, "Tell of a budget and what was consumed of it"},
	"list_budgets":    {ofLimits, "List budgets"},
	"release_budget":  {ofLimits, "Give back to a budget what an execution consumed of it"},
	"create_quota":    {ofLimits, "Make a quota: a rate, or a bound on what runs at once"},
	"update_quota":    {ofLimits, "Change a quota"},
	"delete_quota":    {ofLimits, "Delete a quota"},
	"describe_quota":  {ofLimits, "Tell of a quota and how much of it is taken"},
	"list_quotas":     {ofLimits, "List quotas"},
	"list_quota_keys": {ofLimits, "List the keys of a quota and how much of each is taken"},

	"seed_secret":   {ofSecrets, "Set the first signing secret"},
	"rotate_secret": {ofSecrets, "Sign with a new secret; the old one verifies for a while"},
	"list_secrets":  {ofSecrets, "List signing secrets, without what is secret"},
}
