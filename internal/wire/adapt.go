package wire

import "github.com/flowfabric/flowfabric"

// Methods whose arguments or answers are no structs, as operations.

func submitMany(s service, c ctx, in SubmitMany) (SubmitManyResult, error) {
	results, err := s.SubmitMany(c, in.Executions)
	return SubmitManyResult{results}, err
}

func claim(s service, c ctx, in flowfabric.Claim) (Claimed, error) {
	claimed, err := s.Claim(c, in)
	return Claimed{claimed}, err
}

func renew(s service, c ctx, in flowfabric.Renew) (Instant, error) {
	at, err := s.Renew(c, in)
	return Instant{at}, err
}

func renewMany(s service, c ctx, in RenewMany) (RenewManyResult, error) {
	results, err := s.RenewMany(c, in.Leases)
	return RenewManyResult{results}, err
}

func delay(s service, c ctx, in flowfabric.Delay) (Instant, error) {
	at, err := s.Delay(c, in)
	return Instant{at}, err
}

func sealHandle(s service, c ctx, in flowfabric.Claimed) (HandleText, error) {
	h, err := s.SealHandle(c, in)
	return HandleText{h}, err
}

func openHandle(s service, c ctx, in OfHandle) (flowfabric.HandleInfo, error) {
	return s.OpenHandle(c, in.Handle)
}

func submitFlow(s service, c ctx, in flowfabric.SubmitFlow) (FlowCreated, error) {
	id, err := s.SubmitFlow(c, in)
	return FlowCreated{id}, err
}

func setGroupPolicy(s service, c ctx, in flowfabric.SetGroupPolicy) (Changed, error) {
	changed, err := s.SetGroupPolicy(c, in)
	return Changed{changed}, err
}

func flowTags(s service, c ctx, in OfFlow) (Tags, error) {
	tags, err := s.FlowTags(c, in.FlowID)
	return Tags{tags}, err
}

func sealLink(s service, c ctx, in flowfabric.SealLink) (Link, error) {
	link, err := s.SealLink(c, in)
	return Link{link}, err
}

func describeSuspension(s service, c ctx, in OfExecution) (flowfabric.SuspensionSnapshot, error) {
	return s.DescribeSuspension(c, in.ExecutionID)
}

func describeWaitpoint(s service, c ctx, in OfWaitpoint) (flowfabric.WaitpointSignals, error) {
	return s.DescribeWaitpoint(c, in.ExecutionID, in.WaitpointID)
}

func waitpointToken(s service, c ctx, in OfWaitpoint) (Token, error) {
	token, err := s.WaitpointToken(c, in.ExecutionID, in.WaitpointID)
	return Token{token}, err
}

func forgetReader(s service, c ctx, in OfReader) (Nothing, error) {
	return Nothing{}, s.ForgetEventReader(c, in.Name)
}

func createBudget(s service, c ctx, in flowfabric.CreateBudget) (BudgetCreated, error) {
	id, res, err := s.CreateBudget(c, in)
	return BudgetCreated{id, res}, err
}

func deleteBudget(s service, c ctx, in OfBudget) (Nothing, error) {
	return Nothing{}, s.DeleteBudget(c, in.BudgetID)
}

func releaseBudget(s service, c ctx, in ReleaseBudget) (Nothing, error) {
	return Nothing{}, s.ReleaseBudget(c, in.BudgetID, in.ExecutionID)
}

func createQuota(s service, c ctx, in flowfabric.CreateQuota) (QuotaCreated, error) {
	id, res, err := s.CreateQuota(c, in)
	return QuotaCreated{id, res}, err
}

func deleteQuota(s service, c ctx, in OfQuota) (Nothing, error) {
	return Nothing{}, s.DeleteQuota(c, in.QuotaID)
}

func listSecrets(s service, c ctx, _ Nothing) (Secrets, error) {
	secrets, err := s.ListSecrets(c)
	return Secrets{secrets}, err
}
