"""The purposes that we know: DPV's poset, pinned, so that an upstream edit never changes what was agreed.

Written as a table of what lies directly under what; a purpose may stand under several.

Source: Data Privacy Vocabularies 2.3, purposes.
"""

from __future__ import annotations

DPV_VERSION = "DPV 2.3 (2026-02-28)"
"""The version of the vocabulary that this table states."""

ROOT = "Purpose"
"""Every purpose stands under this one."""

NARROWER: dict[str, tuple[str, ...]] = {
    "Purpose": (
        "AccountManagement",
        "CommercialPurpose",
        "CommunicationManagement",
        "CustomerManagement",
        "EnforceSecurity",
        "EstablishContractualAgreement",
        "FulfilmentOfObligation",
        "HumanResourceManagement",
        "Marketing",
        "NonCommercialPurpose",
        "OrganisationGovernance",
        "Personalisation",
        "PublicBenefit",
        "RecordManagement",
        "ResearchAndDevelopment",
        "RightsFulfilment",
        "ServiceManagement",
        "VendorManagement",
    ),
    "Advertising": (
        "PersonalisedAdvertising",
        "PoliticalCampaign",
        "RecruitmentAdvertising",
    ),
    "CommercialPurpose": ("CommercialResearch",),
    "CommunicationManagement": ("CommunicationForCustomerCare",),
    "CustomerCare": ("CommunicationForCustomerCare",),
    "CustomerManagement": (
        "CustomerCare",
        "CustomerClaimsManagement",
        "CustomerOrderManagement",
        "CustomerRelationshipManagement",
        "CustomerSolvencyMonitoring",
    ),
    "CustomerRelationshipManagement": ("ImproveInternalCRMProcesses",),
    "EnforceSecurity": (
        "EnforceAccessControl",
        "IdentityAuthentication",
        "MisusePreventionAndDetection",
        "Verification",
    ),
    "FraudPreventionAndDetection": (
        "CounterMoneyLaundering",
        "MaintainFraudDatabase",
    ),
    "FulfilmentOfObligation": (
        "FulfilmentOfContractualObligation",
        "LegalCompliance",
        "ProtectionOfIPR",
    ),
    "HumanResourceManagement": ("PersonnelManagement",),
    "Marketing": (
        "Advertising",
        "DirectMarketing",
        "PublicRelations",
        "SocialMediaMarketing",
    ),
    "MisusePreventionAndDetection": ("FraudPreventionAndDetection",),
    "NonCommercialPurpose": ("NonCommercialResearch",),
    "OptimisationForConsumer": ("OptimiseUserInterface",),
    "OptimisationForController": (
        "ImproveExistingProductsAndServices",
        "ImproveInternalCRMProcesses",
        "IncreaseServiceRobustness",
        "InternalResourceOptimisation",
    ),
    "OrganisationGovernance": (
        "DisputeManagement",
        "MemberPartnerManagement",
        "OrganisationComplianceManagement",
        "OrganisationRiskManagement",
    ),
    "Personalisation": (
        "PersonalisedAdvertising",
        "PoliticalCampaign",
        "ServicePersonalisation",
    ),
    "PersonalisedAdvertising": ("TargetedAdvertising",),
    "PersonnelHiring": (
        "PersonnelOnboarding",
        "RecruitmentAdvertising",
        "RecruitmentManagement",
    ),
    "PersonnelManagement": (
        "PersonnelHiring",
        "PersonnelMonitoring",
        "PersonnelOffboarding",
        "PersonnelPayment",
        "PersonnelPerformanceManagement",
        "PersonnelPromotionManagement",
        "PersonnelTerminationManagement",
        "PersonnelWorkloadManagement",
    ),
    "PersonnelMonitoring": (
        "PersonnelBehaviourMonitoring",
        "PersonnelPerformanceManagement",
        "PersonnelPerformanceMonitoring",
    ),
    "PersonnelPerformanceManagement": (
        "PersonnelPerformanceEvaluation",
        "PersonnelPerformanceMonitoring",
        "PersonnelPerformancePrediction",
    ),
    "ProvidePersonalisedRecommendations": (
        "ProvideEventRecommendations",
        "ProvideProductRecommendations",
    ),
    "PublicBenefit": (
        "CombatClimateChange",
        "Counterterrorism",
        "DataAltruism",
        "ImproveHealthcare",
        "ImprovePublicServices",
        "ImproveTransportMobility",
        "ProtectionOfNationalSecurity",
        "ProtectionOfPublicSecurity",
        "ProvideOfficialStatistics",
        "PublicPolicyMaking",
    ),
    "RecruitmentAdvertising": ("RecruitmentTargetedAdvertising",),
    "RecruitmentApplicationManagement": (
        "RecruitmentApplicationAnalysis",
        "RecruitmentApplicationScreening",
    ),
    "RecruitmentInterviewManagement": (
        "RecruitmentInterviewAnalysis",
        "RecruitmentInterviewAssessment",
        "RecruitmentInterviewScheduling",
    ),
    "RecruitmentManagement": (
        "RecruitmentApplicantBackgroundCheck",
        "RecruitmentApplicantCriminalBackgroundCheck",
        "RecruitmentApplicantInformationAuthentication",
        "RecruitmentApplicantSelection",
        "RecruitmentApplicationManagement",
        "RecruitmentInterviewManagement",
    ),
    "RequestedServiceProvision": ("DeliveryOfGoods",),
    "ResearchAndDevelopment": (
        "AcademicResearch",
        "CommercialResearch",
        "NonCommercialResearch",
        "ScientificResearch",
    ),
    "SellProducts": (
        "SellDataToThirdParties",
        "SellInsightsFromData",
        "SellProductsToDataSubject",
    ),
    "ServiceManagement": (
        "PaymentManagement",
        "RepairImpairments",
        "ServiceAccessDetermination",
        "ServiceMonitoring",
        "ServiceOptimisation",
        "ServicePersonalisation",
        "ServiceProvision",
        "ServiceRegistration",
    ),
    "ServiceMonitoring": ("ServiceUsageAnalytics",),
    "ServiceOptimisation": (
        "OptimisationForConsumer",
        "OptimisationForController",
    ),
    "ServicePersonalisation": (
        "PersonalisedBenefits",
        "ProvidePersonalisedRecommendations",
        "UserInterfacePersonalisation",
    ),
    "ServiceProvision": (
        "RequestedServiceProvision",
        "SearchFunctionalities",
        "SellProducts",
        "TechnicalServiceProvision",
    ),
    "TargetedAdvertising": ("RecruitmentTargetedAdvertising",),
    "VendorManagement": (
        "VendorPayment",
        "VendorRecordsManagement",
        "VendorSelectionAssessment",
    ),
    "Verification": (
        "AgeVerification",
        "IdentityVerification",
    ),
}
"""For each purpose that has any: the purposes directly under it."""
